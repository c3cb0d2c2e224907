"""A process says of each of its roles that it lives, how it is and whether it leads. Agents say so with heartbeats."""

import asyncio
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from pathfinder import __version__, health, telemetry
from pathfinder.bootstrap import ON_NODES, Process
from pathfinder.domain.errors import Unavailable
from pathfinder.domain.ids import uuid7

if TYPE_CHECKING:
    from pathfinder.store.roles import Entry

#: How often a process says that it lives, and how soon it says that something changed.
EVERY_SECONDS = 5.0
CHANGE_SECONDS = 1.0

LEAVE_SECONDS = 2.0


class Presence:
    """The rows of one process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._host = socket.gethostname()
        self._ids = {role: uuid7() for role in process.roles if role not in ON_NODES}

    async def run(self) -> None:
        """Say it until cancelled. While PostgreSQL is away nobody hears it, and nothing stops."""
        if not self._ids:
            return
        clock = asyncio.get_running_loop().time
        said, at = None, 0.0
        while True:
            now = self._changing()
            if now != said or clock() - at >= EVERY_SECONDS:
                said, at = now, clock()
                with suppress(Unavailable, TimeoutError):
                    await self.say()
            await asyncio.sleep(CHANGE_SECONDS)

    async def say(self) -> None:
        """Write every row. Raises Unavailable."""
        from pathfinder.store import roles  # nodes load nothing of PostgreSQL

        parts = {name: part.words for name, part in (await health.check(self._process)).items()}
        async with asyncio.timeout(health.PATIENCE_SECONDS), self._process.database.begin() as tx:
            await roles.say(tx, [self._entry(role, parts) for role in self._ids])

    async def leave(self) -> None:
        """Remove the rows: this process ends in good order."""
        if not self._ids:
            return
        from pathfinder.store import roles

        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS), self._process.database.begin() as tx:
                await roles.leave(tx, self._ids.values())

    def _changing(self) -> object:
        for role in self._ids.keys() & {"controller"}:
            telemetry.LEADER.labels(role).set(role in self._process.leading)
        return frozenset(self._process.leading), {name: broker.up for name, broker in self._process.brokers.items()}

    def _entry(self, role: str, parts: dict[str, str]) -> "Entry":
        from pathfinder.store.roles import Entry

        own = f"rabbitmq ({role})"
        shown = {name: words for name, words in parts.items() if not name.startswith("rabbitmq (")}
        if own in parts:
            shown["rabbitmq"] = parts[own]
        return Entry(
            id=self._ids[role],
            role=role,
            host=self._host,
            pid=os.getpid(),
            version=__version__,
            listen=self._process.listen,
            leader=role in self._process.leading,
            parts=shown,
        )
