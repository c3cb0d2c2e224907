"""Nodes: registration, leases, cordons, and the snapshot the scheduler decides on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.errors import AlreadyExists, Conflict, NotFound
from pathfinder.domain.ids import uuid7
from pathfinder.domain.messages import Kind
from pathfinder.domain.resources import Resources
from pathfinder.domain.specs import NodeRegistration
from pathfinder.scheduling.fleet import NodeState
from pathfinder.store import bulk, outbox
from pathfinder.store.journal import Fact, record


@dataclass(frozen=True, slots=True)
class Node:
    """A node's identity."""

    id: UUID
    cluster_id: UUID
    hostname: str


_SNAPSHOT = text("""
    SELECT id, hostname, status, schedulable, cpu_millicores, memory_bytes, disk_bytes,
           cpu_claimed, memory_claimed, disk_claimed, containers, generation, supply, labels
    FROM nodes WHERE cluster_id = :cluster_id ORDER BY hostname
""")


async def snapshot(tx: AsyncConnection, cluster_id: UUID) -> tuple[list[NodeState], int]:
    """Every node of a cluster as the scheduler sees it, and the sum of their `supply`."""
    rows = (await tx.execute(_SNAPSHOT, {"cluster_id": cluster_id})).all()
    return [_state(row) for row in rows], sum(row.supply for row in rows)


async def supply(tx: AsyncConnection, cluster_id: UUID) -> int:
    """The sum of the nodes' `supply`: it differs from a snapshot's if room may have appeared since."""
    result = await tx.execute(
        text("SELECT COALESCE(sum(supply), 0)::bigint FROM nodes WHERE cluster_id = :cluster_id"),
        {"cluster_id": cluster_id},
    )
    return int(result.scalar_one())


def _state(row: Any) -> NodeState:
    return NodeState(
        id=str(row.id),
        hostname=row.hostname,
        ready=row.status == "READY",
        schedulable=row.schedulable,
        capacity=Resources(row.cpu_millicores, row.memory_bytes, row.disk_bytes),
        claimed=Resources(row.cpu_claimed, row.memory_claimed, row.disk_claimed),
        containers=row.containers,
        generation=row.generation,
        labels=row.labels,
    )


async def find(tx: AsyncConnection, cluster_id: UUID, hostname: str) -> Node:
    """Lock and return a node. Raises NotFound."""
    row = (
        await tx.execute(
            text("SELECT id FROM nodes WHERE cluster_id = :cluster_id AND hostname = :hostname FOR UPDATE"),
            {"cluster_id": cluster_id, "hostname": hostname},
        )
    ).one_or_none()
    if row is None:
        raise NotFound("node", hostname, "`pfi get nodes` lists those there are.")
    return Node(row.id, cluster_id, hostname)


async def by_ids(tx: AsyncConnection, ids: set[UUID]) -> dict[UUID, Node]:
    """The nodes of these ids, those that exist."""
    result = await tx.execute(
        text("SELECT id, cluster_id, hostname FROM nodes WHERE id = ANY(:ids)"), {"ids": list(ids)}
    )
    return {row.id: Node(row.id, row.cluster_id, row.hostname) for row in result}


async def known(tx: AsyncConnection, hostnames: set[str]) -> set[str]:
    """Those of these hostnames that are nodes."""
    result = await tx.execute(
        text("SELECT hostname FROM nodes WHERE hostname = ANY(:hostnames)"), {"hostnames": list(hostnames)}
    )
    return set(result.scalars())


_REGISTER = text("""
    INSERT INTO nodes (id, cluster_id, hostname, ipaddress, machine_id, status, runtime, runtime_version, architecture,
                       pool_driver, agent_version, labels, cpu_millicores, memory_bytes, disk_bytes, supply)
    VALUES (:id, :cluster_id, :hostname, :ipaddress, :machine_id, 'READY', :runtime, :runtime_version, :architecture,
            :pool_driver, :agent_version, CAST(:labels AS jsonb), :cpu_millicores, :memory_bytes, :disk_bytes, 1)
    ON CONFLICT (hostname) DO UPDATE
    SET ipaddress = EXCLUDED.ipaddress, machine_id = EXCLUDED.machine_id, status = 'READY',
        runtime = EXCLUDED.runtime, runtime_version = EXCLUDED.runtime_version, architecture = EXCLUDED.architecture,
        pool_driver = EXCLUDED.pool_driver, agent_version = EXCLUDED.agent_version, labels = EXCLUDED.labels,
        cpu_millicores = EXCLUDED.cpu_millicores, memory_bytes = EXCLUDED.memory_bytes,
        disk_bytes = EXCLUDED.disk_bytes, generation = nodes.generation + 1, supply = nodes.supply + 1
    RETURNING id
""")
_PRESENT = text("""
    SELECT n.id, n.cluster_id, n.machine_id, COALESCE(l.until > now(), false) AS alive
    FROM nodes AS n LEFT JOIN leases AS l ON l.node_id = n.id WHERE n.hostname = :hostname FOR UPDATE OF n
""")


async def register(
    tx: AsyncConnection, cluster_id: UUID, node: NodeRegistration, lease_seconds: float, trace_id: str
) -> UUID:
    """Admit a node, new or back again, with a fresh lease; its id.

    Raises AlreadyExists while another machine with that name is alive, Conflict if it belongs to another cluster.
    """
    present = (await tx.execute(_PRESENT, {"hostname": node.hostname})).one_or_none()
    if present is not None and present.cluster_id != cluster_id:
        raise Conflict(f"Node {node.hostname!r} belongs to another cluster; set PATHFINDER_NODE_NAME to another name.")
    if present is not None and present.machine_id != node.machine_id and present.alive:
        raise AlreadyExists(
            f"A live node named {node.hostname!r} is there already, on another machine. Set PATHFINDER_NODE_NAME to "
            "another name, or stop the other agent and wait until its lease has ended."
        )
    given = node.model_dump() | {"labels": orjson.dumps(node.labels).decode()}
    result = await tx.execute(_REGISTER, {**given, "id": uuid7(), "cluster_id": cluster_id})
    node_id: UUID = result.scalar_one()
    await renew(tx, {node_id: {}}, lease_seconds)
    body = {"runtime": node.runtime, "ipaddress": node.ipaddress, "machine_id": node.machine_id}
    await record(tx, [_fact(Kind.NODE_REGISTERED, Node(node_id, cluster_id, node.hostname), "agent", trace_id, body)])
    return node_id


_LEASE: bulk.Columns = {"node_id": "uuid", "usage": "text"}
_RENEW = text(f"""
    INSERT INTO leases (node_id, until, usage)
    SELECT node_id, now() + make_interval(secs => :seconds), usage::jsonb
    FROM {bulk.rows(_LEASE, "h")} WHERE EXISTS (SELECT FROM nodes WHERE id = node_id)
    ORDER BY node_id
    ON CONFLICT (node_id) DO UPDATE SET until = EXCLUDED.until, usage = EXCLUDED.usage
""")  # noqa: S608 - the text is put together from the constants above


async def renew(tx: AsyncConnection, usage: Mapping[UUID, Mapping[str, Any]], lease_seconds: float) -> None:
    """Renew the leases of these nodes and note how busy they are."""
    items = [{"node_id": node_id, "usage": orjson.dumps(one).decode()} for node_id, one in usage.items()]
    await tx.execute(_RENEW, {"seconds": lease_seconds, **bulk.parameters(_LEASE, items)})


async def renew_all(tx: AsyncConnection, lease_seconds: float) -> None:
    """Grant every READY node a fresh lease: we were away, not they."""
    await tx.execute(
        text("""
            UPDATE leases SET until = now() + make_interval(secs => :seconds)
            WHERE node_id IN (SELECT id FROM nodes WHERE status = 'READY')
        """),
        {"seconds": lease_seconds},
    )


async def mark_ready(tx: AsyncConnection, ids: set[UUID]) -> None:
    """Nodes that are heard again are READY again."""
    result = await tx.execute(
        text("""
            UPDATE nodes SET status = 'READY', supply = supply + 1, generation = generation + 1
            WHERE id = ANY(:ids) AND status = 'DOWN' RETURNING id, cluster_id, hostname
        """),
        {"ids": list(ids)},
    )
    await record(tx, [_fact(Kind.NODE_READY, Node(*row), "recorder") for row in result])


async def expired(tx: AsyncConnection) -> list[Node]:
    """READY nodes whose lease has ended."""
    result = await tx.execute(
        text("""
            SELECT n.id, n.cluster_id, n.hostname FROM nodes AS n JOIN leases AS l ON l.node_id = n.id
            WHERE n.status = 'READY' AND l.until < now() ORDER BY n.id
        """)
    )
    return [Node(*row) for row in result]


async def mark_down(tx: AsyncConnection, ids: set[UUID]) -> None:
    """Nodes whose lease has ended take no more placements; looked at once more, in case a heartbeat just came."""
    result = await tx.execute(
        text("""
            UPDATE nodes AS n SET status = 'DOWN', generation = n.generation + 1 FROM leases AS l
            WHERE n.id = ANY(:ids) AND n.status = 'READY' AND l.node_id = n.id AND l.until < now()
            RETURNING n.id, n.cluster_id, n.hostname
        """),
        {"ids": list(ids)},
    )
    await record(tx, [_fact(Kind.NODE_DOWN, Node(*row), "controller") for row in result])


async def set_schedulable(tx: AsyncConnection, node: Node, schedulable: bool, actor: str, trace_id: str) -> None:
    """Cordon or uncordon; nothing is recorded when it was so already."""
    result = await tx.execute(
        text("""
            UPDATE nodes SET schedulable = :schedulable, generation = generation + 1,
                             supply = supply + CAST(:schedulable AS int)
            WHERE id = :id AND schedulable <> :schedulable
        """),
        {"id": node.id, "schedulable": schedulable},
    )
    if result.rowcount:
        kind = Kind.NODE_UNCORDONED if schedulable else Kind.NODE_CORDONED
        await record(tx, [_fact(kind, node, actor, trace_id)])


async def delete(tx: AsyncConnection, node: Node, actor: str, trace_id: str) -> None:
    """Forget a node that holds nothing, and have its queue removed. Raises Conflict while containers are on it."""
    holding = await tx.execute(
        text("""
            SELECT (SELECT count(*) FROM containers
                    WHERE node_id = :id AND status NOT IN ('DELETED', 'PROVISION_ERROR'))
                 + (SELECT count(*) FROM departures WHERE node_id = :id)
        """),
        {"id": node.id},
    )
    if count := holding.scalar_one():
        raise Conflict(
            f"Node {node.hostname!r} still holds {count} container(s). Cordon it (`pfi cordon node {node.hostname}`), "
            "delete or reschedule them, then delete the node."
        )
    await tx.execute(text("UPDATE containers SET node_id = NULL WHERE node_id = :id"), {"id": node.id})
    await tx.execute(text("DELETE FROM nodes WHERE id = :id"), {"id": node.id})
    await outbox.put(tx, [(outbox.RETIREMENT, node.hostname, b"[]")])
    await record(tx, [_fact(Kind.NODE_DELETED, node, actor, trace_id)])


def _fact(kind: Kind, node: Node, actor: str, trace_id: str = "", body: dict[str, Any] | None = None) -> Fact:
    return Fact(
        kind,
        node.cluster_id,
        "node",
        node.id,
        node.hostname,
        actor,
        node=node.hostname,
        trace_id=trace_id,
        body=body or {},
    )
