"""What becomes of the containers of a node that is DOWN.

No node is locked here: a LOST container keeps its claim, and a placement that ends leaves it to its departure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as with_message
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain import commands
from pathfinder.domain.containers import Container
from pathfinder.domain.lifecycle import ContainerType, Status
from pathfinder.domain.messages import Kind
from pathfinder.store import claims, containers, journal
from pathfinder.store.nodes import Node, fact

ACTOR = "controller"


@dataclass(frozen=True, slots=True)
class DownNode:
    """A DOWN node. `alive`: it is heard again, and about to be READY. `unlost`: it has containers nobody called LOST
    yet; `holding`: LOST ones that may be placed anew; `takeover`: LOST ones that an operator wants elsewhere.
    """

    node: Node
    ipaddress: str
    down_for: timedelta
    fenced: bool
    alive: bool
    unlost: bool
    holding: bool
    takeover: bool


_DOWN = text("""
    SELECT n.id, n.cluster_id, n.hostname, n.epoch, n.ipaddress, now() - COALESCE(n.down_at, n.created_at) AS down_for,
           n.fenced_at IS NOT NULL AS fenced, COALESCE(l.until > now(), false) AS alive,
           COALESCE(bool_or(c.status <> 'LOST'), false) AS unlost,
           COALESCE(bool_or(c.status = 'LOST' AND c.type = 'STATELESS'), false) AS holding,
           COALESCE(bool_or(c.status = 'LOST' AND c.takeover), false) AS takeover
    FROM nodes AS n LEFT JOIN leases AS l ON l.node_id = n.id
    LEFT JOIN containers AS c ON c.node_id = n.id AND c.status NOT IN ('DELETED', 'PROVISION_ERROR')
    WHERE n.status = 'DOWN' GROUP BY n.id, l.until ORDER BY n.id
""")


async def down_nodes(tx: AsyncConnection) -> list[DownNode]:
    """Every DOWN node."""
    rows = await tx.execute(_DOWN)
    return [
        DownNode(
            Node(row.id, row.cluster_id, row.hostname, row.epoch, down=True),
            *(row.ipaddress, row.down_for, row.fenced, row.alive, row.unlost, row.holding, row.takeover),
        )
        for row in rows
    ]


# Half a lease is a heartbeat at least, and more than one that is only a little late.
_FLEETS = text("""
    SELECT n.cluster_id, count(*) AS nodes, count(*) FILTER (
        WHERE n.status = 'READY' AND COALESCE(n.reboot_until < now(), true)
          AND l.until < now() + make_interval(secs => COALESCE(k.lease_seconds, :seconds) / 2)
    ) AS faltering
    FROM nodes AS n JOIN clusters AS k ON k.id = n.cluster_id LEFT JOIN leases AS l ON l.node_id = n.id
    GROUP BY n.cluster_id
""")


async def fleets(tx: AsyncConnection, lease_seconds: float) -> dict[UUID, tuple[int, int]]:
    """How many nodes each cluster has, and how many of them are READY still and were not heard for half a lease.

    Those whose silence was announced do not count as such.
    """
    rows = await tx.execute(_FLEETS, {"seconds": lease_seconds})
    return {row.cluster_id: (row.nodes, row.faltering) for row in rows}


async def lose(tx: AsyncConnection, node: Node) -> int:
    """Call the containers of a DOWN node LOST; those that were to be deleted are. How many that were."""
    changed, facts, gone = [], [], []
    for container in await _on(tx, node):
        if container.status == Status.SCHEDULE_DELETION:
            gone.append(container)
            after = container.to(Status.DELETED, ipaddress=None, message=None)
            facts.append(journal.about(after, Kind.CONTAINER_DELETED, ACTOR, {"why": "its node is down"}))
        elif container.claims and container.status != Status.LOST:
            # Its address stays: where there is one, there was an instance.
            after = container.to(Status.LOST, message=f"Its node {node.hostname} is down.")
            facts.append(journal.about(after, Kind.CONTAINER_LOST, ACTOR, {"why": "its node is down"}))
        else:
            continue
        changed.append(after)
    await claims.depart(tx, gone)
    await containers.save(tx, changed)
    await journal.record(tx, facts)
    return len(changed)


async def replace(tx: AsyncConnection, node: Node, *, takeovers: bool) -> int:
    """Put the LOST stateless containers of a silent node, or those to be taken over, before the scheduler.

    Their former placements keep their claims until the node says that they are gone. How many that were.
    """
    if not await _is_silent(tx, node):
        return 0
    leaving = [one for one in await _on(tx, node) if one.status == Status.LOST and _moves(one, takeovers)]
    pending = [
        one.to(
            Status.PENDING,
            node_id=None,
            node=None,
            ipaddress=None,
            message=None,
            decision_id=None,
            waiting=False,
            takeover=False,
            attempts=0,
            retry_at=None,
        )
        for one in leaving
    ]
    body = {"from": node.hostname, "why": "its node is down"}
    await claims.depart(tx, leaving)
    await containers.save(tx, pending)
    await journal.record(
        tx,
        [journal.about(one, Kind.CONTAINER_RESCHEDULED, ACTOR, body) for one in pending],
        {node.hostname: [commands.delete_placement(one) for one in leaving]} if leaving else None,
    )
    return len(pending)


async def explain_hold(tx: AsyncConnection, node: Node, words: str) -> None:
    """Say of the LOST containers of a node that wait behind the brake why they do."""
    await _say(tx, node, words, takeovers=False)


async def note_fencing(tx: AsyncConnection, node: Node, failure: str | None) -> None:
    """Record what the fencing hook said: None is success."""
    if failure is None:
        await tx.execute(text("UPDATE nodes SET fenced_at = now() WHERE id = :id AND status = 'DOWN'"), {"id": node.id})
        await journal.record(tx, [fact(Kind.NODE_FENCED, node, ACTOR)])
    else:
        words = f"Its node {node.hostname} could not be fenced, which is tried again: {failure}"
        await _say(tx, node, words, takeovers=True)
        await journal.record(tx, [fact(Kind.NODE_FENCE_FAILED, node, ACTOR, body={"reason": failure})])


async def _say(tx: AsyncConnection, node: Node, words: str, *, takeovers: bool) -> None:
    waiting = [one for one in await _on(tx, node) if one.status == Status.LOST and _moves(one, takeovers)]
    await containers.save(tx, [with_message(one, message=words) for one in waiting if one.message != words])


def _moves(container: Container, takeovers: bool) -> bool:
    return container.takeover if takeovers else container.type == ContainerType.STATELESS


async def _on(tx: AsyncConnection, node: Node) -> Sequence[Container]:
    """The containers of the node, locked; none if it is not DOWN any more."""
    found = await containers.lock_of_node(tx, node.id)
    still = await tx.execute(
        text("SELECT id FROM nodes WHERE id = :id AND status = 'DOWN' AND epoch = :epoch FOR SHARE"),
        {"id": node.id, "epoch": node.epoch},
    )
    return found if still.first() is not None else []


async def _is_silent(tx: AsyncConnection, node: Node) -> bool:
    result = await tx.execute(
        text("SELECT COALESCE((SELECT until < now() FROM leases WHERE node_id = :id), true)"), {"id": node.id}
    )
    return bool(result.scalar_one())
