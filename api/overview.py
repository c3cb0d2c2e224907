"""The status of the whole, looked at once for all who ask within a moment."""

import asyncio
import math
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from api import safety
from pathfinder import __version__, telemetry
from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.depths import depths
from pathfinder.controllers import overview as judging
from pathfinder.domain.errors import Unavailable
from pathfinder.domain.status import BrokerStatus, NodeQueues, Overall, QueueStatus, SystemStatus
from pathfinder.store import clusters, overview, roles
from pathfinder.store.resilience import Surveys

#: Whoever asks gets an answer no older than this.
FRESH_SECONDS = 1.0

#: RabbitMQ has so long to tell what is in its queues.
BROKER_SECONDS = 2.0

WORST = 5

#: The names of the only clusters that somebody is for; None: all.
Within = frozenset[str] | None

#: More clusters than anybody has.
MANY = 10_000

#: A scrape has no longer than this for the whole.
COUNT_SECONDS = 4.0

_LABELLED = (
    telemetry.HEALTH,
    telemetry.FINDINGS,
    telemetry.NODES,
    telemetry.CONTAINERS,
    telemetry.QUEUE_MESSAGES,
    telemetry.STANDBY_LAG,
)


class Overview:
    """One api process's view of the whole."""

    def __init__(self, process: Process, surveys: Surveys) -> None:
        self._process = process
        self._surveys = surveys
        self._looking = asyncio.Lock()
        #: By whose eyes: the clusters they are for.
        self._seen: dict[Within, tuple[float, SystemStatus]] = {}

    async def status(self, within: Within = None) -> SystemStatus:
        """How everything is; of clusters only those of these names, if some are given.

        Raises Unavailable while PostgreSQL is away: then nothing is known.
        """
        clock = asyncio.get_running_loop().time
        async with self._looking:
            at, seen = self._seen.get(within, (float("-inf"), None))
            if seen is None or clock() - at > FRESH_SECONDS:
                seen = await self._look(within)
                self._seen = {key: one for key, one in self._seen.items() if clock() - one[0] <= FRESH_SECONDS}
                self._seen[within] = clock(), seen
            return seen

    async def count(self) -> None:
        """Bring the metrics of the whole up to date. What is not known has no sample, or is NaN, rather than old."""
        try:
            async with asyncio.timeout(COUNT_SECONDS):
                seen = await self.status()
        except (Unavailable, TimeoutError):
            seen = None
        for gauge in _LABELLED:
            gauge.clear()
        for gauge in (telemetry.WAITING, telemetry.OUTBOX_ROWS, telemetry.OUTBOX_OLDEST):
            gauge.set(math.nan)
        if seen is None:
            return
        severities = Counter(one.severity for one in seen.findings)
        queues = {one.name: one.messages for one in seen.broker.queues}
        if seen.broker.reachable:
            queues["nodes"] = seen.broker.nodes.messages
        lags = {one.name: one.lag_bytes for one in seen.replication if one.lag_bytes is not None}
        health = {state.value: int(state == seen.health) for state in Overall}
        counts = (health, severities, seen.nodes, seen.containers, queues, lags)
        for gauge, values in zip(_LABELLED, counts, strict=True):
            for label, value in values.items():
                gauge.labels(label).set(value)
        telemetry.WAITING.set(seen.waiting)
        telemetry.OUTBOX_ROWS.set(seen.outbox.rows)
        telemetry.OUTBOX_OLDEST.set(seen.outbox.oldest_seconds)

    async def _look(self, within: Within) -> SystemStatus:
        async with self._process.database.read() as connection:
            seen = await overview.glance(connection, within)
            processes = judging.processes(await roles.lately(connection))
        broker, deaf = await self._broker(seen.ready)
        unsafe = safety.findings(self._process.settings, self._process.roles, datetime.now(UTC))
        problems = [*seen.problems, *unsafe]
        found = judging.findings(processes, broker, deaf, seen.outbox, seen.nodes, problems)
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
            survivability=await self._survivability(within),
        )

    async def _survivability(self, within: Within) -> dict[str, Any]:
        """Whether every cluster would survive the death of any one node, and the words for it."""
        async with self._process.database.read() as connection:
            known = [one for one in await clusters.page(connection, "", MANY, within) if one.nodes > 1]
        surveys = {one.name: await self._surveys.of(one.id) for one in known}
        lost = {
            name: f"{name}: {worst.waiting} containers of {worst.name} would wait"
            for name, survey in surveys.items()
            if (worst := survey.worst_node) is not None
        }
        answers = {name: name not in lost for name in surveys}
        return {"any_node": answers, "summary": "; ".join(lost.values()) or "any 1 node: yes"} if answers else {}

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
