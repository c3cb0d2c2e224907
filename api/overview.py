"""The status of the whole, looked at once for all who ask within a moment."""

import asyncio
from datetime import UTC, datetime

from pathfinder import __version__
from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.depths import depths
from pathfinder.controllers import overview as judging
from pathfinder.domain.status import BrokerStatus, NodeQueues, QueueStatus, SystemStatus
from pathfinder.store import overview, roles

#: Whoever asks gets an answer no older than this.
FRESH_SECONDS = 1.0

#: RabbitMQ has so long to tell what is in its queues.
BROKER_SECONDS = 2.0

WORST = 5


class Overview:
    """One api process's view of the whole."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._looking = asyncio.Lock()
        self._at = float("-inf")
        self._seen: SystemStatus | None = None

    async def status(self) -> SystemStatus:
        """How everything is. Raises Unavailable while PostgreSQL is away: then nothing is known."""
        clock = asyncio.get_running_loop().time
        async with self._looking:
            if self._seen is None or clock() - self._at > FRESH_SECONDS:
                self._seen, self._at = await self._look(), clock()
            return self._seen

    async def _look(self) -> SystemStatus:
        async with self._process.database.read() as connection:
            seen = await overview.glance(connection)
            processes = judging.processes(await roles.lately(connection))
        broker, deaf = await self._broker(seen.ready)
        found = judging.findings(processes, broker, deaf, seen.outbox, seen.nodes, seen.problems)
        return SystemStatus(
            health=judging.overall(found),
            version=__version__,
            at=datetime.now(UTC),
            findings=found,
            roles=processes,
            broker=broker,
            outbox=seen.outbox,
            replication=seen.standbys,
            nodes=seen.nodes,
            containers=seen.containers,
            waiting=seen.waiting,
            survivability=None,
        )

    async def _broker(self, ready: list[str]) -> tuple[BrokerStatus, list[str]]:
        """RabbitMQ and its queues, and the READY nodes whose queue nobody reads."""
        shared = [queue.name for queue in topology.SHARED]
        nodes = {topology.node_queue(hostname).name: hostname for hostname in ready}
        connection = self._process.broker("api").connection
        found: dict[str, QueueStatus] = {}
        if connection is not None:
            found = await depths(connection, [*shared, *nodes], BROKER_SECONDS)
        theirs = sorted((found[name] for name in nodes if name in found), key=lambda one: (-one.messages, one.name))
        broker = BrokerStatus(
            reachable=any(name in found for name in shared),
            queues=[found[name] for name in shared if name in found],
            nodes=NodeQueues(queues=len(theirs), messages=sum(one.messages for one in theirs), worst=theirs[:WORST]),
        )
        return broker, sorted(nodes[one.name] for one in theirs if not one.consumers)
