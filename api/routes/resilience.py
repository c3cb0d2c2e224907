"""What would happen if a node or a zone died now."""

from typing import Annotated, cast

from fastapi import Depends, Request

from api.auth import Operator, guarded
from api.deps import ClusterName, ProcessDep
from api.errors import documented
from pathfinder.domain import views
from pathfinder.scheduling.resilience import Survey
from pathfinder.store import clusters, listing
from pathfinder.store.resilience import Surveys

router = guarded("/resilience", "resilience")


async def surveys(request: Request) -> Surveys:
    """The surveys of this process."""
    return cast(Surveys, request.app.state.surveys)


@router.get("", responses=documented(404))
async def get(
    process: ProcessDep,
    asking: Operator,
    kept: Annotated[Surveys, Depends(surveys)],
    cluster: ClusterName = "default",
) -> views.Resilience:
    """Whether everything stateless would fit elsewhere if any one node, or any one zone, died now."""
    async with process.database.read() as tx:
        found = await clusters.find(tx, cluster)
    survey = await kept.of(found.id)
    async with process.database.read() as tx:
        simulated = await listing.simulated(tx, [loss.name for loss in survey.of("node")])
    return _view(found, survey, process.settings.zone_label, simulated)


def _view(cluster: clusters.Cluster, survey: Survey, zone_label: str, simulated: list[str]) -> views.Resilience:
    losses = [
        views.Loss(
            domain=loss.kind,
            name=loss.name,
            nodes=loss.nodes,
            containers=loss.containers,
            waiting=loss.waiting,
            stateful=loss.stateful,
        )
        for kind in ("node", "zone")
        for loss in survey.of(kind)
    ]
    zones = survey.of("zone")
    return views.Resilience(
        cluster=cluster.name,
        policy=cluster.policy,
        zone_label=zone_label,
        survives_any_node=survey.survives("node"),
        survives_any_zone=survey.survives("zone") if zones else None,
        losses=losses,
        simulated=simulated,
    )
