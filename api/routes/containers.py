"""Containers: create, list, get, delete, reschedule, explain."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Query, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from api.auth import Operator, guarded
from api.deps import ClusterName, GaugeDep, IdempotencyKey, Limit, ProcessDep, TraceId
from api.errors import documented
from api.paging import after, page
from api.selecting import LabelFilter, PageCursor, Prefix, labels
from pathfinder.domain import views
from pathfinder.domain.lifecycle import Status
from pathfinder.domain.specs import ContainerBatch, ContainerSpec
from pathfinder.failpoints import point
from pathfinder.store import clusters, listing, requests
from pathfinder.store.requests import Asker

router = guarded("/containers", "containers")

#: What of RFC 7240 is heeded: the answer to a large batch costs as much as the batch.
MINIMAL = "return=minimal"
Prefer = Annotated[
    str | None, Header(max_length=255, description="return=minimal: the answer does not show what was made.")
]


async def admitted(asking: Operator, gauge: GaugeDep) -> None:
    """Nothing new while too much is waiting; who asks is known before that is said. Raises Overloaded."""
    gauge.admit()


@router.post("", status_code=201, responses=documented(404, 409), dependencies=[Depends(admitted)])
async def create(
    spec: ContainerSpec,
    response: Response,
    process: ProcessDep,
    asking: Operator,
    trace_id: TraceId,
    cluster: ClusterName = "default",
    key: IdempotencyKey = None,
) -> views.Container:
    """Ask for a container. It is PENDING now; the event stream tells how it goes on."""
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        ids = await requests.create(tx, found, [spec], Asker(asking.actor, trace_id), key, rules=process.rules)
        (container,) = await listing.containers_by_id(tx, ids)
        point("api.create.written")
    point("api.create.committed")
    where = "" if cluster == "default" else f"?cluster={cluster}"
    response.headers["Location"] = f"/api/v3/containers/{container.hostname}{where}"
    return container


@router.post("/batch", status_code=201, responses=documented(404, 409), dependencies=[Depends(admitted)])
async def create_batch(
    batch: ContainerBatch,
    process: ProcessDep,
    asking: Operator,
    trace_id: TraceId,
    response: Response,
    cluster: ClusterName = "default",
    key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> views.Page[views.Container]:
    """Ask for several containers: all are accepted, or none. With `Prefer: return=minimal` none is shown."""
    minimal = prefer == MINIMAL
    if minimal:
        response.headers["Preference-Applied"] = MINIMAL
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        asker = Asker(asking.actor, trace_id)
        ids = await requests.create(
            tx, found, batch.containers, asker, key, together=batch.together, rules=process.rules
        )
        made = [] if minimal else await listing.containers_by_id(tx, ids)
        point("api.create.written")
    point("api.create.committed")
    return views.Page(items=made)


@router.get("", responses=documented(404))
async def get_all(
    process: ProcessDep,
    asking: Operator,
    label: LabelFilter = [],  # noqa: B006 - FastAPI copies it
    status: Annotated[list[Status], Query(description="Only these statuses; repeat for more.")] = [],  # noqa: B006
    node: Annotated[str | None, Query(max_length=63, description="Only containers on this node.")] = None,
    prefix: Prefix = "",
    limit: Limit = 200,
    cursor: PageCursor = None,
    cluster: ClusterName = "default",
) -> views.Page[views.Container]:
    """The living containers of a cluster, by hostname; deleted ones too where `status=DELETED` asks for them."""
    selection = listing.Selection(
        cluster=cluster,
        prefix=prefix,
        statuses=tuple(status),
        labels=labels(label),
        node=node,
        after=after(cursor),
        limit=limit + 1,
    )
    async with process.database.read() as tx:
        await clusters.find(tx, cluster)
        if node is not None:
            await listing.node(tx, cluster, node)
        return page(await listing.containers(tx, selection), limit)


@router.get("/{hostname}", responses=documented(404))
async def get(
    hostname: str, process: ProcessDep, asking: Operator, cluster: ClusterName = "default"
) -> views.Container:
    """One living container."""
    async with process.database.read() as tx:
        return await listing.container(tx, cluster, hostname)


@router.delete("/{hostname}", status_code=202, responses=documented(404))
async def delete(
    hostname: str, process: ProcessDep, asking: Operator, trace_id: TraceId, cluster: ClusterName = "default"
) -> views.Container:
    """Have a container deleted. Asking again is harmless."""
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        id_ = await requests.delete(tx, found.id, hostname, Asker(asking.actor, trace_id))
        leaving = await _one(tx, id_)
        point("api.delete.written")
    point("api.delete.committed")
    return leaving


@router.post("/{hostname}/reschedule", status_code=202, responses=documented(404, 409))
async def reschedule(
    hostname: str, process: ProcessDep, asking: Operator, trace_id: TraceId, cluster: ClusterName = "default"
) -> views.Container:
    """Have a container placed anew. Its disk starts afresh."""
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        id_ = await requests.reschedule(tx, found.id, hostname, Asker(asking.actor, trace_id))
        return await _one(tx, id_)


@router.get("/{hostname}/explain", responses=documented(404))
async def explain(
    hostname: str, process: ProcessDep, asking: Operator, cluster: ClusterName = "default"
) -> views.Explanation:
    """Why a container is where it is, or why it is nowhere yet."""
    async with process.database.read() as tx:
        return await listing.explanation(tx, cluster, hostname)


@router.get("/{hostname}/attempts", responses=documented(404))
async def attempts(
    hostname: str, process: ProcessDep, asking: Operator, cluster: ClusterName = "default"
) -> views.Page[views.Attempt]:
    """The provisions of a container that failed, the newest 200, oldest first."""
    async with process.database.read() as tx:
        return views.Page(items=await listing.attempts(tx, cluster, hostname))


@router.post("/{hostname}/rebootstrap", status_code=202, responses=documented(404, 409))
async def rebootstrap(
    hostname: str, process: ProcessDep, asking: Operator, trace_id: TraceId, cluster: ClusterName = "default"
) -> views.Container:
    """Have a container's bootstrappers carried out again, from the first."""
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        id_ = await requests.rebootstrap(tx, found.id, hostname, Asker(asking.actor, trace_id))
        return await _one(tx, id_)


@router.get("/{hostname}/bootstraps", responses=documented(404))
async def bootstraps(
    hostname: str, process: ProcessDep, asking: Operator, cluster: ClusterName = "default"
) -> views.Page[views.Bootstrap]:
    """The bootstrappers of a container, run by run, oldest first, with what they wrote."""
    async with process.database.read() as tx:
        return views.Page(items=await listing.bootstraps(tx, cluster, hostname))


async def _one(tx: AsyncConnection, id_: UUID) -> views.Container:
    (container,) = await listing.containers_by_id(tx, [id_])
    return container
