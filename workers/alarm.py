"""The scheduler's alarm: it rings at the moment something is due, without looking at the store in between."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from pathfinder.bootstrap import Process
from pathfinder.broker.connection import backoff, pause
from pathfinder.domain.errors import Unavailable
from pathfinder.store import due
from pathfinder.store.due import Due

log = structlog.get_logger()

#: What is still due after it rang is in somebody else's hands: it is looked at again after this long.
AGAIN_SECONDS = 0.2


class Alarm:
    """Set to the earliest moment that the store knows of; `set_anew` after every change that may bring another.

    Any number of schedulers may ring at the same moment: whoever is first takes what is due.
    """

    def __init__(self, process: Process, ring: Callable[[Due], Awaitable[None]]) -> None:
        self._process = process
        self._ring = ring
        self._changed = asyncio.Event()
        self._since = due.EVER

    def set_anew(self) -> None:
        """Look up what is due next."""
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
        try:
            async with asyncio.timeout(None if found is None else max(found.seconds, least)):
                await self._changed.wait()
        except TimeoutError:
            if found is not None:
                await self._ring(found)
                self._since = now
                return AGAIN_SECONDS
        self._since = now
        return 0.0
