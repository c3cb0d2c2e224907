"""Deployments: list, get, write, scale, delete; what is asked of their rollouts."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Annotated

from fastapi import Body, Path, Query
from sqlalchemy.ext.asyncio import AsyncConnection

from api.auth import Operator, guarded
from api.deps import ClusterName, Limit, ProcessDep, TraceId
from api.errors import documented
from api.paging import after, page
from api.selecting import LabelFilter, PageCursor, Prefix, labels
from pathfinder.domain import deployment_views as views
from pathfinder.domain.deployments import DeploymentBatch, DeploymentSpec, Scale, Undo
from pathfinder.domain.errors import FieldProblem, Invalid
from pathfinder.domain.views import Page
from pathfinder.store import clusters, declaring, deployment_listing, deployments
from pathfinder.store.requests import Asker

router = guarded("/deployments", "deployments")

Name = Annotated[str, Path(max_length=63, description="Name of the deployment.")]
MOST_VERSION = (1 << 63) - 1
Expected = Annotated[
    int | None,
    Query(ge=0, le=MOST_VERSION, description="Refuse unless this is the version; 0: unless there is none."),
]
Cause = Annotated[str, Query(max_length=255, description="Why, for the history of its revisions.")]


class Action(StrEnum):
    """What can be asked of a rollout."""

    UNDO = "undo"
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    RESTART = "restart"


@router.get("", responses=documented(404))
async def get_all(
    process: ProcessDep,
    asking: Operator,
    label: LabelFilter = [],  # noqa: B006 - FastAPI copies it
    prefix: Prefix = "",
    limit: Limit = 200,
    cursor: PageCursor = None,
    cluster: ClusterName = "default",
) -> Page[views.Deployment]:
    """The deployments of a cluster, by name."""
    async with process.database.read() as tx:
        found = await clusters.find(tx, cluster)
        rows = await deployment_listing.page(
            tx, found.id, prefix=prefix, labels=labels(label), after=after(cursor)[0], limit=limit + 1
        )
    return page(rows, limit)


@router.post("/batch", responses=documented(404, 409))
async def apply_batch(
    batch: DeploymentBatch,
    process: ProcessDep,
    asking: Operator,
    trace_id: TraceId,
    cause: Cause = "",
    cluster: ClusterName = "default",
) -> views.AppliedBatch:
    """Declare several deployments: all of them, or none. With labels to `prune`, what else has them is deleted."""
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        asker = Asker(asking.actor, trace_id)
        done = await declaring.apply(
            tx, found, batch.deployments, asker, prune=batch.prune, cause=cause, rules=process.rules
        )
        there = {
            one.name: one for one in await deployment_listing.named(tx, found.id, [s.name for s in batch.deployments])
        }
    return views.AppliedBatch(
        applied=[
            views.AppliedDeployment(**there[one.deployment.name].model_dump(), change=one.change)
            for one in done.applied
        ],
        pruned=list(done.pruned),
    )


@router.post("/plan", responses=documented(404, 409))
async def plan(
    batch: DeploymentBatch, process: ProcessDep, asking: Operator, cluster: ClusterName = "default"
) -> views.DeploymentPlan:
    """What declaring these deployments would do, and where new replicas would go."""
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        asker = Asker(asking.actor, "")
        return await declaring.plan(tx, found, batch.deployments, asker, prune=batch.prune, rules=process.rules)


@router.get("/{name}", responses=documented(404))
async def get(name: Name, process: ProcessDep, asking: Operator, cluster: ClusterName = "default") -> views.Deployment:
    """One deployment."""
    async with process.database.read() as tx:
        return await deployment_listing.one(tx, (await clusters.find(tx, cluster)).id, name)


@router.get("/{name}/revisions", responses=documented(404))
async def revisions(
    name: Name, process: ProcessDep, asking: Operator, cluster: ClusterName = "default"
) -> Page[views.Revision]:
    """The revisions of a deployment that are kept, the latest first."""
    async with process.database.begin() as tx:
        found = await deployments.load(tx, (await clusters.find(tx, cluster)).id, name)
    return Page(items=deployment_listing.revisions(found))


@router.put("/{name}", responses=documented(404, 409))
async def apply(
    name: Name,
    spec: DeploymentSpec,
    process: ProcessDep,
    asking: Operator,
    trace_id: TraceId,
    expected_version: Expected = None,
    cause: Cause = "",
    cluster: ClusterName = "default",
) -> views.AppliedDeployment:
    """Declare a deployment: it is made or changed to be so, and its replicas follow."""
    _same_name(name, spec)
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        applied = await deployments.apply(
            tx,
            found,
            spec,
            Asker(asking.actor, trace_id),
            cause=cause,
            expected=expected_version,
            rules=process.rules,
        )
        view = await deployment_listing.one(tx, found.id, name)
    return views.AppliedDeployment(**view.model_dump(), change=applied.change)


@router.post("/{name}/scale", responses=documented(404, 409))
async def scale(
    name: Name,
    wanted: Scale,
    process: ProcessDep,
    asking: Operator,
    trace_id: TraceId,
    cluster: ClusterName = "default",
) -> views.Deployment:
    """Have so many replicas of a deployment."""
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        asker = Asker(asking.actor, trace_id)
        await deployments.scale(tx, found, name, wanted.replicas, asker, rules=process.rules)
        return await deployment_listing.one(tx, found.id, name)


@router.delete("/{name}", status_code=202, responses=documented(404, 409))
async def delete(
    name: Name, process: ProcessDep, asking: Operator, trace_id: TraceId, cluster: ClusterName = "default"
) -> views.Deployment:
    """Have a deployment deleted, with all its replicas. Asking again is harmless."""
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        await deployments.delete(tx, found.id, name, Asker(asking.actor, trace_id))
        return await deployment_listing.one(tx, found.id, name)


@router.post("/{name}/rollout/{action}", status_code=202, responses=documented(404, 409))
async def act(
    name: Name,
    action: Action,
    process: ProcessDep,
    asking: Operator,
    trace_id: TraceId,
    cluster: ClusterName = "default",
    undo: Annotated[Undo | None, Body(description="For `undo` only.")] = None,
) -> views.Deployment:
    """Ask something of the rollout of a deployment: `undo` goes back to an earlier revision, `pause` and `resume` stop
    it and let it go on, `promote` lets canaries be followed by the rest, `restart` makes every replica anew.
    """
    if undo is not None and action is not Action.UNDO:
        raise Invalid("Only undo takes a revision.", [FieldProblem("revision", f"{action} takes none")])
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        asker = Asker(asking.actor, trace_id)
        if action is Action.UNDO:
            to = undo.revision if undo else None
            await deployments.undo(tx, found, name, asker, to=to, rules=process.rules)
        else:
            await _SIMPLE[action](tx, found, name, asker)
        return await deployment_listing.one(tx, found.id, name)


_SIMPLE: dict[Action, Callable[[AsyncConnection, clusters.Cluster, str, Asker], Awaitable[object]]] = {
    Action.PAUSE: deployments.pause,
    Action.RESUME: deployments.resume,
    Action.PROMOTE: deployments.promote,
    Action.RESTART: deployments.restart,
}


def _same_name(name: str, spec: DeploymentSpec) -> None:
    if spec.name != name:
        words = f"is {spec.name!r}, but the path says {name!r}"
        raise Invalid("The document is of another deployment.", [FieldProblem("name", words)])
