"""Clusters: create, list, get, change."""

from typing import Annotated

from fastapi import Query

from api.auth import Operator, guarded
from api.deps import IdempotencyKey, Limit, ProcessDep, TraceId
from api.errors import documented
from pathfinder.domain import views
from pathfinder.domain.specs import ClusterPatch, ClusterSpec
from pathfinder.store import clusters, policies

router = guarded("/clusters", "clusters")


@router.get("", responses=documented())
async def get_all(
    process: ProcessDep,
    asking: Operator,
    limit: Limit = 200,
    cursor: Annotated[str, Query(max_length=63, description="The next_cursor of the page before.")] = "",
) -> views.Page[views.Cluster]:
    """Every cluster that whoever asks is for, by name."""
    async with process.database.read() as tx:
        rows = await clusters.page(tx, cursor, limit + 1, asking.clusters)
    return views.Page(items=rows[:limit], next_cursor=rows[limit - 1].name if len(rows) > limit else None)


@router.post("", status_code=201, responses=documented(409))
async def create(
    spec: ClusterSpec, process: ProcessDep, asking: Operator, trace_id: TraceId, key: IdempotencyKey = None
) -> views.Cluster:
    """A new cluster."""
    image = spec.default_image or process.settings.default_image
    async with process.database.begin() as tx:
        await policies.require(tx, spec.policy)
        await clusters.create(tx, spec.name, spec.policy, image, asking.actor, trace_id, key)
        return await clusters.view(tx, spec.name)


@router.get("/{name}", responses=documented(404))
async def get(name: str, process: ProcessDep, asking: Operator) -> views.Cluster:
    """One cluster."""
    async with process.database.read() as tx:
        return await clusters.view(tx, name)


@router.patch("/{name}", responses=documented(404))
async def change(
    name: str, patch: ClusterPatch, process: ProcessDep, asking: Operator, trace_id: TraceId
) -> views.Cluster:
    """Change a cluster's policy, default image or rhythm. What is placed stays where it is; nodes hear it at once."""
    usual = clusters.Rhythm(process.settings.heartbeat_seconds, process.settings.lease_seconds)
    async with process.database.begin() as tx:
        if patch.policy is not None:
            await policies.require(tx, patch.policy)
        await clusters.change(tx, name, patch, usual, asking.actor, trace_id)
        return await clusters.view(tx, name)
