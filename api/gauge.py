"""How much work is waiting, measured beside the requests, so that none of them pays for it."""

import structlog
from aio_pika.abc import AbstractConnection

from pathfinder import telemetry
from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.connection import pause
from pathfinder.broker.depths import messages
from pathfinder.controllers.backpressure import Pressure
from pathfinder.domain.errors import Overloaded, Unavailable
from pathfinder.store import outbox

log = structlog.get_logger()

#: How old a measurement may be.
REFRESH_SECONDS = 1.0

OUTBOX = "the outbox"
QUEUES = (topology.SCHEDULER, topology.RECORDER)


class Gauge:
    """What one api process knows of the backlog. Until it has measured anything, nothing is refused."""

    def __init__(self, process: Process) -> None:
        self._process = process
        marks = {OUTBOX: process.settings.backlog_outbox}
        marks |= {queue.name: process.settings.backlog_queue for queue in QUEUES}
        self._pressure = Pressure(marks)

    def admit(self) -> None:
        """Let new work in. Raises Overloaded while too much is waiting."""
        if reason := self._pressure.reason:
            telemetry.REFUSED.inc()
            raise Overloaded(reason)

    async def run(self) -> None:
        """Watch the outbox until the process stops."""
        # A broken broker is counted here too: what cannot be published stays in the outbox.
        while not self._process.stopping.is_set():
            await self.measure()
            await pause(self._process.stopping, REFRESH_SECONDS)

    async def measure(self) -> None:
        """Look at the outbox once. While PostgreSQL is away nothing is known, and nothing is created either."""
        try:
            async with self._process.database.read() as connection:
                self._note(OUTBOX, await outbox.waiting(connection, self._process.settings.backlog_outbox))
        except Unavailable:
            return

    async def watch(self, connection: AbstractConnection) -> None:
        """Watch the queues over this connection until the process stops."""
        channel = await connection.channel()
        try:
            while not self._process.stopping.is_set():
                for queue in QUEUES:
                    self._note(queue.name, await messages(channel, queue.name))
                await pause(self._process.stopping, REFRESH_SECONDS)
        finally:
            for queue in QUEUES:  # nothing is known of them any more
                self._note(queue.name, 0)

    def _note(self, place: str, depth: int) -> None:
        telemetry.BACKLOG.labels("outbox" if place == OUTBOX else place).set(depth)
        if self._pressure.measured(place, depth):
            reason = self._pressure.reason
            log.warning("creates are refused" if reason else "creates are accepted again", place=place, depth=depth)
