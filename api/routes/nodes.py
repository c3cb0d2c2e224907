"""Nodes: list, get, change, cordon, uncordon, delete, and how agents register theirs."""

from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy.ext.asyncio import AsyncConnection

from api.auth import Joining, Operator, guarded
from api.deps import ClusterName, Limit, ProcessDep, TraceId
from api.errors import documented
from api.paging import after, page
from api.selecting import LabelFilter, PageCursor, Prefix, labels
from pathfinder.domain import views
from pathfinder.domain.access import Role
from pathfinder.domain.errors import Forbidden, NotFound
from pathfinder.domain.lifecycle import NodeStatus
from pathfinder.domain.patches import NodePatch
from pathfinder.domain.specs import NodeCredential, NodeRegistration
from pathfinder.store import clusters, credentials, journal, leases, listing, nodes, secrets, standing, tokens, upkeep

router = guarded("/nodes", "nodes")

#: The longest a node may announce to be away for a reboot.
MAX_REBOOT_SECONDS = 86400


@router.post("/register", responses=documented(404, 409))
async def register(
    node: NodeRegistration,
    process: ProcessDep,
    asking: Joining,
    trace_id: TraceId,
    cluster: ClusterName = "default",
) -> views.Registered:
    """Admit a node, new or back again. Its former credential ends once the node registers with the new one."""
    settings = process.settings
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        if asking.cluster_id not in (None, found.id):
            raise Forbidden(f"This token admits nodes to another cluster than {cluster!r}.")
        if asking.role == Role.JOIN and asking.token_id is not None:
            await tokens.admit(tx, asking.token_id, node.machine_id)
        admitted = await nodes.register(tx, found.id, node, settings.lease_seconds, trace_id)
        if asking.node_id not in (None, admitted.id):
            raise Forbidden(f"This token is another node's; register {node.hostname!r} with a join token.")
        await credentials.revoke(tx, admitted.id, asking.token_id if asking.node_id else None)
        token = await tokens.create(tx, node.hostname, "node", found.id, admitted.id)
    return views.Registered(
        node_id=admitted.id,
        cluster_id=found.id,
        cluster=found.name,
        token=token,
        epoch=admitted.epoch,
        heartbeat_seconds=found.heartbeat_seconds or settings.heartbeat_seconds,
        lease_seconds=found.lease_seconds or settings.lease_seconds,
    )


@router.post("/heartbeat", status_code=204, responses=documented(404))
async def heartbeat(process: ProcessDep, asking: Joining) -> None:
    """Renew the asking node's lease: its way while RabbitMQ is away. Only a node's own token may."""
    if asking.node_id is None:
        raise Forbidden("Only a node may renew its lease; this token is not a node's.")
    async with process.database.begin() as tx:
        await leases.extend(tx, asking.node_id, process.settings.lease_seconds)


@router.put("/credential", status_code=204, responses=documented(409))
async def change_credential(following: NodeCredential, process: ProcessDep, asking: Joining) -> None:
    """Let the asking node have another credential, which it made. Once it asks with that one, the former one ends."""
    if asking.node_id is None or asking.token_id is None:
        raise Forbidden("Only a node may change its credential; this token is not a node's.")
    async with process.database.begin() as tx:
        await credentials.propose(tx, asking.node_id, asking.token_id, following.sha256)


@router.get("/secrets/{container_id}", responses=documented(404, 409))
async def secrets_of(container_id: UUID, process: ProcessDep, asking: Joining) -> views.SecretValues:
    """The secrets that the files of a container name, for the node it is on and for nobody else."""
    if asking.node_id is None:
        raise Forbidden("Only a node is told secrets, of its own containers; this token is not a node's.")
    async with process.database.begin() as tx:
        found = await secrets.named(tx, container_id, asking.node_id)
        if found is None:
            raise NotFound("container", str(container_id), "It is not on this node, or not any more.")
        return views.SecretValues(values=dict(await process.vault.reveal(tx, *found)))


@router.get("", responses=documented(404))
async def get_all(
    process: ProcessDep,
    asking: Operator,
    label: LabelFilter = [],  # noqa: B006 - FastAPI copies it
    status: Annotated[list[NodeStatus], Query(description="Only these statuses; repeat for more.")] = [],  # noqa: B006
    prefix: Prefix = "",
    limit: Limit = 200,
    cursor: PageCursor = None,
    cluster: ClusterName = "default",
) -> views.Page[views.Node]:
    """The nodes of a cluster, by hostname."""
    selection = listing.Selection(
        cluster=cluster,
        prefix=prefix,
        statuses=tuple(status),
        labels=labels(label),
        after=after(cursor),
        limit=limit + 1,
    )
    async with process.database.read() as tx:
        await clusters.find(tx, cluster)
        return page(await listing.nodes(tx, selection), limit)


@router.get("/{hostname}", responses=documented(404))
async def get(hostname: str, process: ProcessDep, asking: Operator, cluster: ClusterName = "default") -> views.Node:
    """One node."""
    async with process.database.read() as tx:
        return await listing.node(tx, cluster, hostname)


@router.patch("/{hostname}", responses=documented(404))
async def change(
    hostname: str,
    patch: NodePatch,
    process: ProcessDep,
    asking: Operator,
    trace_id: TraceId,
    cluster: ClusterName = "default",
) -> views.Node:
    """Change a node's labels, taints, pool, limits or overcommit. What is there stays."""
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        await upkeep.change(tx, await nodes.find(tx, found.id, hostname), patch, asking.actor, trace_id)
        return await listing.node(tx, cluster, hostname)


@router.post("/{hostname}/cordon", responses=documented(404))
async def cordon(
    hostname: str,
    process: ProcessDep,
    asking: Operator,
    trace_id: TraceId,
    cluster: ClusterName = "default",
    reboot_within: Annotated[
        float | None,
        Query(gt=0, le=MAX_REBOOT_SECONDS, description="Seconds the node may be silent before it counts as DOWN."),
    ] = None,
) -> views.Node:
    """Stop new placements on a node. What is there stays; with `reboot_within` also while the node reboots."""
    async with process.database.begin() as tx:
        return await _set_schedulable(tx, cluster, hostname, False, asking.actor, trace_id, reboot_within)


@router.post("/{hostname}/uncordon", responses=documented(404))
async def uncordon(
    hostname: str, process: ProcessDep, asking: Operator, trace_id: TraceId, cluster: ClusterName = "default"
) -> views.Node:
    """Allow placements on a node again; also on one that was set aside."""
    async with process.database.begin() as tx:
        return await _set_schedulable(tx, cluster, hostname, True, asking.actor, trace_id)


async def _set_schedulable(
    tx: AsyncConnection,
    cluster: str,
    hostname: str,
    schedulable: bool,
    actor: str,
    trace_id: str,
    reboot_seconds: float | None = None,
) -> views.Node:
    found = await clusters.find(tx, cluster)
    node = await nodes.find(tx, found.id, hostname)
    if schedulable:
        await journal.record(tx, await standing.restore(tx, node.id, actor, trace_id))
    await nodes.set_schedulable(tx, node, schedulable, actor, trace_id, reboot_seconds)
    return await listing.node(tx, cluster, hostname)


@router.delete("/{hostname}", status_code=204, responses=documented(404, 409))
async def delete(
    hostname: str, process: ProcessDep, asking: Operator, trace_id: TraceId, cluster: ClusterName = "default"
) -> None:
    """Forget a node that holds nothing."""
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        await nodes.delete(tx, await nodes.find(tx, found.id, hostname), asking.actor, trace_id)
