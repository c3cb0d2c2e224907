"""Part of the controller: keeps knowing what each node's and each zone's death would mean."""

import asyncio

import structlog

from pathfinder import telemetry
from pathfinder.bootstrap import Process
from pathfinder.broker.connection import pause
from pathfinder.controllers.situation import ClusterRef, Survival
from pathfinder.domain.errors import Unavailable
from pathfinder.scheduling.resilience import Survey
from pathfinder.store import clusters
from pathfinder.store.resilience import Surveys

log = structlog.get_logger()

#: Least time between two looks, and how many times longer than a look took the pause after it is at least.
LOOK_SECONDS, REST = 3.0, 10


class Watch:
    """What is known now; None until the first look."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._surveys = Surveys(process.database, process.settings.zone_label, process.rules)
        self.survivals: tuple[Survival, ...] | None = None

    async def run(self) -> None:
        """Look again and again, until told to stop."""
        clock = asyncio.get_running_loop().time
        try:
            while not self._process.stopping.is_set():
                began = clock()
                try:
                    await self.look()
                except Unavailable as error:
                    log.warning("resilience is not known", reason=str(error))
                except Exception:
                    log.exception("resilience is not known")
                await pause(self._process.stopping, max(LOOK_SECONDS, REST * (clock() - began)))
        finally:
            telemetry.RESILIENCE.clear()  # whoever leads now tells

    async def look(self) -> None:
        """Survey every cluster; cheap where nothing changed."""
        async with self._process.database.begin() as tx:
            known = await clusters.page(tx, "", 10_000)
        found = [(one, await self._surveys.of(one.id)) for one in known]
        self.survivals = tuple(
            Survival(ClusterRef(one.id, one.name), one.nodes, survey.survives(), words(survey)) for one, survey in found
        )
        telemetry.RESILIENCE.clear()
        for one, survey in found:
            for loss in survey.losses:
                telemetry.RESILIENCE.labels(one.name, loss.kind, loss.name).set(loss.waiting)


def words(survey: Survey) -> str:
    """The worst that one node's death would do."""
    worst = survey.worst_node
    if worst is None:
        return ""
    return f"{worst.waiting} containers of {worst.name} would fit nowhere else."
