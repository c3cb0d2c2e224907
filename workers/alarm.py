"""The scheduler's alarm: it rings at the moment something is due, without looking at the store in between."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog

from pathfinder.bootstrap import Process
from pathfinder.broker.connection import backoff, pause
from pathfinder.domain.errors import Unavailable
from pathfinder.store import due
from pathfinder.store.due import Due

log = structlog.get_logger()

#: What is still due after it rang is in somebody else's hands: it is looked at again after this long, and so is what
#: those who looked were not sure of.
AGAIN_SECONDS = 0.2


class Alarm:
    """Set to the earliest moment that the store knows of; `set_anew` after every change that may bring another.

    Any number of schedulers may ring at the same moment: whoever is first takes what is due.
    """

    def __init__(self, process: Process, ring: Callable[["Alarm", Due], Awaitable[None]]) -> None:
        self._process = process
        self._ring = ring
        self._soon: dict[UUID, float] = {}
        self._changed = asyncio.Event()
        self._since = due.EVER

    def set_anew(self) -> None:
        """Look up what is due next."""
        self._changed.set()

    def ring_soon(self, cluster_id: UUID) -> None:
        """Ring for those that wait in this cluster, too: for all that the store knows there may be room."""
        self._soon.setdefault(cluster_id, asyncio.get_running_loop().time() + AGAIN_SECONDS)
        self._changed.set()

    async def run(self) -> None:
        """Ring until told to stop."""
        attempt, least = 0, 0.0
        while not self._process.stopping.is_set():
            try:
                least = await self._once(least)
                attempt = 0
            except Unavailable as error:
                log.warning("alarm put off", reason=str(error))
                await pause(self._process.stopping, backoff(attempt))
                attempt += 1

    async def _once(self, least: float) -> float:
        """Wait for what is due next, `least` seconds at least, and ring if it comes; how long to wait at least then."""
        self._changed.clear()
        async with self._process.database.read() as tx:
            found, now = await due.next_due(tx, self._since)
        ahead = self._ahead(found)
        wait = max(min(one.seconds for one in ahead), least) if ahead else None
        try:
            async with asyncio.timeout(wait):
                await self._changed.wait()
        except TimeoutError:
            # All that are due: one that stays due, in whoever's hands, keeps none of the others from it.
            for one in ahead:
                if wait is not None and one.seconds <= wait:
                    if one.waiting:
                        self._soon.pop(one.cluster_id, None)
                    await self._ring(self, one)
            self._since = now
            return AGAIN_SECONDS
        self._since = now
        return 0.0

    def _ahead(self, found: Due | None) -> list[Due]:
        """What the store said is due next, and every cluster that is to be looked at soon, each once."""
        now = asyncio.get_running_loop().time()
        soon = [Due(cluster_id, True, at - now) for cluster_id, at in self._soon.items()]
        if found is None:
            return soon
        return [found, *(one for one in soon if not found.waiting or one.cluster_id != found.cluster_id)]
