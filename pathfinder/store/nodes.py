"""Nodes: registration, cordons, and the snapshot the scheduler decides on."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.controllers.liveness import Caller
from pathfinder.domain.errors import AlreadyExists, Conflict, NotFound
from pathfinder.domain.ids import uuid7
from pathfinder.domain.messages import Kind
from pathfinder.domain.specs import NodeRegistration
from pathfinder.store import leases, outbox
from pathfinder.store.journal import Fact, record
from pathfinder.store.leases import SILENT


@dataclass(frozen=True, slots=True)
class Node:
    """A node's identity, and whether what it says and is told still counts: see `epoch` in the table."""

    id: UUID
    cluster_id: UUID
    hostname: str
    epoch: int = 0
    down: bool = False


async def epochs(tx: AsyncConnection, ids: Collection[UUID | None]) -> dict[UUID, int]:
    """The epochs of these nodes."""
    rows = await tx.execute(text("SELECT id, epoch FROM nodes WHERE id = ANY(:ids)"), {"ids": list(ids)})
    return {row.id: row.epoch for row in rows}


async def supply(tx: AsyncConnection, cluster_id: UUID) -> int:
    """The sum of the nodes' `supply`: it moves when room or other rules come."""
    result = await tx.execute(
        text("SELECT COALESCE(sum(supply), 0)::bigint FROM nodes WHERE cluster_id = :cluster_id"),
        {"cluster_id": cluster_id},
    )
    return int(result.scalar_one())


_IDENTITY = "SELECT id, cluster_id, hostname, epoch, status = 'DOWN' AS down FROM nodes"


async def find(tx: AsyncConnection, cluster_id: UUID, hostname: str) -> Node:
    """Lock and return a node. Raises NotFound."""
    row = (
        await tx.execute(
            text(f"{_IDENTITY} WHERE cluster_id = :cluster_id AND hostname = :hostname FOR UPDATE"),
            {"cluster_id": cluster_id, "hostname": hostname},
        )
    ).one_or_none()
    if row is None:
        raise NotFound("node", hostname, "`pfi get nodes` lists those there are.")
    return Node(*row)


async def by_ids(tx: AsyncConnection, ids: set[UUID]) -> dict[UUID, Node]:
    """The nodes of these ids, those that exist."""
    result = await tx.execute(text(f"{_IDENTITY} WHERE id = ANY(:ids)"), {"ids": list(ids)})
    return {row.id: Node(*row) for row in result}


async def down(tx: AsyncConnection, ids: set[UUID]) -> list[tuple[Node, Caller]]:
    """Those of these nodes that are DOWN."""
    result = await tx.execute(
        text("""
            SELECT id, cluster_id, hostname, epoch, generation, down_at IS NULL AS new FROM nodes
            WHERE id = ANY(:ids) AND status = 'DOWN'
        """),
        {"ids": list(ids)},
    )
    return [
        (Node(row.id, row.cluster_id, row.hostname, row.epoch, down=True), Caller(row.id, row.generation, row.new))
        for row in result
    ]


async def known(tx: AsyncConnection, hostnames: set[str]) -> set[str]:
    """Those of these hostnames that are nodes."""
    result = await tx.execute(
        text("SELECT hostname FROM nodes WHERE hostname = ANY(:hostnames)"), {"hostnames": list(hostnames)}
    )
    return set(result.scalars())


async def of_cluster(tx: AsyncConnection, cluster_id: UUID) -> list[Node]:
    """Every node of a cluster."""
    return [Node(*row) for row in await tx.execute(text(f"{_IDENTITY} WHERE cluster_id = :id"), {"id": cluster_id})]


# What is DOWN stays DOWN until its full list shows that nothing is left there of what was placed anew elsewhere. One
# that is new begins so: it may have been a node before, and deleted while it was away. A machine with another disk is
# DOWN at once: nothing of what the old one held is on it.
_REGISTER = text("""
    INSERT INTO nodes (id, cluster_id, hostname, ipaddress, machine_id, status, runtime, runtime_version, architecture,
                       pool_driver, agent_version, labels, capabilities, cpu_millicores, memory_bytes, disk_bytes,
                       supply)
    VALUES (:id, :cluster_id, :hostname, :ipaddress, :machine_id, 'DOWN', :runtime, :runtime_version, :architecture,
            :pool_driver, :agent_version, CAST(:labels AS jsonb), CAST(:capabilities AS jsonb),
            :cpu_millicores, :memory_bytes, :disk_bytes, 1)
    ON CONFLICT (hostname) DO UPDATE
    SET ipaddress = EXCLUDED.ipaddress, machine_id = EXCLUDED.machine_id, runtime = EXCLUDED.runtime,
        status = CASE WHEN :replaced THEN 'DOWN' ELSE nodes.status END,
        epoch = nodes.epoch + CAST(:replaced AS int),
        down_at = CASE WHEN :replaced THEN COALESCE(nodes.down_at, now()) ELSE nodes.down_at END,
        runtime_version = EXCLUDED.runtime_version, architecture = EXCLUDED.architecture,
        pool_driver = EXCLUDED.pool_driver, agent_version = EXCLUDED.agent_version, labels = EXCLUDED.labels,
        capabilities = EXCLUDED.capabilities,
        cpu_millicores = EXCLUDED.cpu_millicores, memory_bytes = EXCLUDED.memory_bytes,
        disk_bytes = EXCLUDED.disk_bytes, generation = nodes.generation + 1, supply = nodes.supply + 1
    RETURNING id, cluster_id, hostname, epoch, status = 'DOWN' AS down
""")
_PRESENT = text("""
    SELECT n.id, n.cluster_id, n.machine_id, n.status, COALESCE(l.until > now(), false) AS alive
    FROM nodes AS n LEFT JOIN leases AS l ON l.node_id = n.id WHERE n.hostname = :hostname FOR UPDATE OF n
""")


async def register(
    tx: AsyncConnection, cluster_id: UUID, node: NodeRegistration, lease_seconds: float, trace_id: str
) -> Node:
    """Admit a node, new or back again, with a fresh lease, and have its queue declared. A new one is READY with its
    first full list.

    Raises AlreadyExists while another machine with that name is alive, Conflict if it belongs to another cluster.
    """
    present = (await tx.execute(_PRESENT, {"hostname": node.hostname})).one_or_none()
    if present is not None and present.cluster_id != cluster_id:
        raise Conflict(f"Node {node.hostname!r} belongs to another cluster; set PATHFINDER_NODE_NAME to another name.")
    replaced = present is not None and present.machine_id != node.machine_id
    if present is not None and replaced and present.alive:
        raise AlreadyExists(
            f"A live node named {node.hostname!r} is there already, on another machine. Set PATHFINDER_NODE_NAME to "
            "another name, or stop the other agent and wait until its lease has ended."
        )
    documents = {name: orjson.dumps(getattr(node, name)).decode() for name in ("labels", "capabilities")}
    given = node.model_dump() | documents
    result = await tx.execute(_REGISTER, {**given, "id": uuid7(), "cluster_id": cluster_id, "replaced": replaced})
    admitted = Node(*result.one())
    await leases.renew(tx, {admitted.id: {}}, lease_seconds)
    body = {"runtime": node.runtime, "ipaddress": node.ipaddress, "machine_id": node.machine_id}
    body["status"] = "DOWN" if admitted.down else "READY"
    facts = [fact(Kind.NODE_REGISTERED, admitted, "agent", trace_id, body)]
    if present is not None and replaced and present.status == "READY":
        facts.append(fact(Kind.NODE_DOWN, admitted, "agent", trace_id, {"why": "another machine has its name now"}))
    await record(tx, facts)
    await outbox.put(tx, [(outbox.QUEUES, admitted.hostname, b"[]")])
    return admitted


async def note_images(tx: AsyncConnection, node_id: UUID, images: list[str]) -> None:
    """Remember which images a node has. Nothing is promised on that, so nobody who decides need look again."""
    await tx.execute(
        text("UPDATE nodes SET images = CAST(:images AS jsonb) WHERE id = :id AND images <> CAST(:images AS jsonb)"),
        {"id": node_id, "images": orjson.dumps(images).decode()},
    )


async def hold_back(tx: AsyncConnection, node: Node, words: str) -> None:
    """Note why a node that is heard stays DOWN."""
    await tx.execute(
        text("""
            UPDATE nodes SET held_back = :words
            WHERE id = :id AND status = 'DOWN' AND held_back IS DISTINCT FROM :words
        """),
        {"id": node.id, "words": words},
    )


async def mark_ready(tx: AsyncConnection, node: Node) -> None:
    """A node that is back and holds nothing stale is READY again."""
    result = await tx.execute(
        text("""
            UPDATE nodes SET status = 'READY', supply = supply + 1, generation = generation + 1,
                             down_at = NULL, fenced_at = NULL, held_back = NULL
            WHERE id = :id AND status = 'DOWN' AND epoch = :epoch
        """),
        {"id": node.id, "epoch": node.epoch},
    )
    if result.rowcount:
        await record(tx, [fact(Kind.NODE_READY, node, "recorder")])


async def mark_down(tx: AsyncConnection, ids: set[UUID]) -> None:
    """Nodes whose lease has ended take no more placements, and what they were told is void.

    Looked at once more, in case a heartbeat just came; locked in the order in which claims are taken. Their `supply`
    moves, too: an even share need not have them any more.
    """
    result = await tx.execute(
        text(f"""
            WITH silent AS (
                SELECT n.id FROM nodes AS n JOIN leases AS l ON l.node_id = n.id
                WHERE n.id = ANY(:ids) AND {SILENT} ORDER BY n.id FOR UPDATE OF n
            )
            UPDATE nodes AS n
            SET status = 'DOWN', generation = n.generation + 1, supply = n.supply + 1, epoch = n.epoch + 1,
                down_at = now(), fenced_at = NULL, reboot_until = NULL
            FROM silent WHERE n.id = silent.id
            RETURNING n.id, n.cluster_id, n.hostname
        """),  # noqa: S608 - the text is put together from the constant above
        {"ids": list(ids)},
    )
    await record(tx, [fact(Kind.NODE_DOWN, Node(*row), "controller") for row in result])


async def set_schedulable(
    tx: AsyncConnection, node: Node, schedulable: bool, actor: str, trace_id: str, reboot_seconds: float | None = None
) -> None:
    """Cordon or uncordon; nothing is recorded when it was so already.

    With `reboot_seconds` the node may be silent for so long before it counts as DOWN. Its `supply` moves either way:
    an even share need not have a node that is cordoned.
    """
    result = await tx.execute(
        text("""
            UPDATE nodes SET schedulable = :schedulable, generation = generation + 1, supply = supply + 1,
                             reboot_until = now() + make_interval(secs => CAST(:reboot_seconds AS double precision))
            WHERE id = :id AND (schedulable <> :schedulable OR reboot_until IS NOT NULL
                                OR CAST(:reboot_seconds AS double precision) IS NOT NULL)
        """),
        {"id": node.id, "schedulable": schedulable, "reboot_seconds": reboot_seconds},
    )
    if result.rowcount:
        kind = Kind.NODE_UNCORDONED if schedulable else Kind.NODE_CORDONED
        body = {"reboot_within_seconds": reboot_seconds} if reboot_seconds is not None else {}
        await record(tx, [fact(kind, node, actor, trace_id, body)])


# Whoever decides now does so on what was; whoever lets something wait must look again.
_TOUCH = text("""
    WITH held AS (SELECT id FROM nodes WHERE cluster_id = ANY(:ids) ORDER BY id FOR UPDATE)
    UPDATE nodes AS n SET generation = n.generation + 1, supply = n.supply + 1 FROM held WHERE n.id = held.id
""")


async def touch(tx: AsyncConnection, clusters: Collection[UUID]) -> None:
    """Note that other rules hold for placements on the nodes of these clusters."""
    await tx.execute(_TOUCH, {"ids": list(clusters)})


async def delete(tx: AsyncConnection, node: Node, actor: str, trace_id: str) -> None:
    """Forget a node that holds nothing, and have its queue removed; what is left on a DOWN one goes with it.

    Raises Conflict while containers are on it.
    """
    holding = await tx.execute(
        text("""
            SELECT (SELECT count(*) FROM containers
                    WHERE node_id = :id AND status NOT IN ('DELETED', 'PROVISION_ERROR'))
                 + (SELECT count(*) FROM departures WHERE node_id = :id AND NOT :down)
        """),
        {"id": node.id, "down": node.down},
    )
    if count := holding.scalar_one():
        raise Conflict(
            f"Node {node.hostname!r} still holds {count} container(s). Cordon it (`pfi cordon node {node.hostname}`), "
            "delete or reschedule them, then delete the node."
        )
    await tx.execute(text("UPDATE containers SET node_id = NULL WHERE node_id = :id"), {"id": node.id})
    await tx.execute(text("DELETE FROM nodes WHERE id = :id"), {"id": node.id})
    await outbox.put(tx, [(outbox.QUEUES, node.hostname, b"[]")])
    await record(tx, [fact(Kind.NODE_DELETED, node, actor, trace_id)])


def fact(kind: Kind, node: Node, actor: str, trace_id: str = "", body: dict[str, Any] | None = None) -> Fact:
    """A fact about a node."""
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
