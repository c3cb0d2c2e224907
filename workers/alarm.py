"""The scheduler's alarm: it rings at the moment something is due, without looking at the store in between."""

import asyncio
from collections.abc import Awaitable, Callable
from operator import itemgetter
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
        found = self._sooner(found)
        try:
            async with asyncio.timeout(None if found is None else max(found.seconds, least)):
                await self._changed.wait()
        except TimeoutError:
            if found is not None:
                if found.waiting:
                    self._soon.pop(found.cluster_id, None)
                await self._ring(self, found)
                self._since = now
                return AGAIN_SECONDS
        self._since = now
        return 0.0

    def _sooner(self, found: Due | None) -> Due | None:
        if not self._soon:
            return found
        cluster_id, at = min(self._soon.items(), key=itemgetter(1))
        seconds = at - asyncio.get_running_loop().time()
        return found if found is not None and found.seconds < seconds else Due(cluster_id, True, seconds)
