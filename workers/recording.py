"""What was measured of deployments, gathered and written once a minute: of each five minutes the greatest is kept."""

from collections.abc import Sequence
from uuid import UUID

from pathfinder.bootstrap import Process
from pathfinder.controllers.forecasting import SLOT_SECONDS
from pathfinder.controllers.metering import demand
from pathfinder.controllers.usage import Usages
from pathfinder.controllers.wishes import Count, Reading
from pathfinder.store import autoscaling
from pathfinder.store.autoscaling import REPLICA_CPU, REPLICA_MEMORY, Replica


class Recording:
    """What is not written yet. A leader that dies takes a minute of it along."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._peaks: dict[tuple[UUID, str, float], float] = {}

    def demand(self, id_: UUID, reading: Reading, count: Count, now: float) -> None:
        """What a metric said at `now`, seconds since 1970, if that is something to be shared out."""
        if (value := demand(reading, count)) is not None:
            self._add(id_, reading.name, now, value)

    def replicas(self, found: Sequence[Replica], usages: Usages, steady: float, now: float) -> None:
        """What the busiest replica of each deployment uses."""
        for one in found:
            if one.ready and (use := usages.use(one.id, steady)):
                self._add(one.deployment_id, REPLICA_CPU, now, use.cores * 1000)
                self._add(one.deployment_id, REPLICA_MEMORY, now, float(use.memory_bytes))

    async def write(self) -> None:
        """Write what was gathered. What cannot be written now is kept until it can."""
        if not self._peaks:
            return
        async with self._process.database.begin() as tx:
            await autoscaling.measure(tx, [(*key, value) for key, value in self._peaks.items()])
        self._peaks = {}

    def _add(self, id_: UUID, metric: str, now: float, value: float) -> None:
        key = id_, metric, now // SLOT_SECONDS * SLOT_SECONDS
        self._peaks[key] = max(value, self._peaks.get(key, 0.0))
