"""Containers that give way to more urgent ones: who could, what is on its way out already, and how they go."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain import commands
from pathfinder.domain.asking import Budget
from pathfinder.domain.lifecycle import CLAIMING, RUNNING, TRANSITIONS, ContainerType, Status
from pathfinder.domain.messages import Envelope, Kind
from pathfinder.domain.resources import Resources
from pathfinder.domain.rules import BudgetRule
from pathfinder.scheduling import asking
from pathfinder.scheduling.preempt import Leaving, Tenant
from pathfinder.scheduling.request import Ask
from pathfinder.store import claims, containers, journal

ACTOR = "scheduler"

#: Statuses in which a container may be told to go: what is LOST is on a node nobody hears.
EVICTABLE = frozenset(status for status in CLAIMING - {Status.LOST} if Status.PENDING in TRANSITIONS[status])
_AWAY = sorted(set(Status) - RUNNING - {Status.DELETED, Status.SCHEDULE_DELETION})

# One scheduler at a time: two could evict for the same container.
_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended('pathfinder.preemption ' || :cluster_id, 0))")
_LOWER = text("""
    SELECT id, node_id, type, image, cpu_millicores, memory_bytes, disk_bytes, labels, spec, priority FROM containers
    WHERE cluster_id = :cluster_id AND node_id IS NOT NULL AND type = 'STATELESS' AND priority < :below
      AND status = ANY(:statuses) ORDER BY id
""")
_LEAVING = text("""
    SELECT d.node_id, d.cpu_millicores, d.memory_bytes, d.disk_bytes, d.stateful
    FROM departures AS d JOIN nodes AS n ON n.id = d.node_id WHERE n.cluster_id = :cluster_id
    UNION ALL SELECT node_id, cpu_millicores, memory_bytes, disk_bytes, type = 'STATEFUL' FROM containers
    WHERE cluster_id = :cluster_id AND node_id IS NOT NULL AND status = 'SCHEDULE_DELETION'
""")
_NOT_RUNNING = text("""
    SELECT labels, count(*) AS containers FROM containers
    WHERE cluster_id = :cluster_id AND status = ANY(:statuses) GROUP BY labels
""")


async def hold(tx: AsyncConnection, cluster_id: UUID) -> None:
    """Wait until nobody else makes room in this cluster; then nobody does until the transaction ends."""
    await tx.execute(_ALONE, {"cluster_id": str(cluster_id)})


async def tenants(
    tx: AsyncConnection, cluster_id: UUID, below: int, row_of: Mapping[str, int], keys: Iterable[str]
) -> list[Tenant]:
    """The containers of lower priority than `below` that may have to go, on the rows of their nodes."""
    given = {"cluster_id": cluster_id, "below": below, "statuses": sorted(EVICTABLE)}
    return [
        Tenant(str(one.id), row_of[str(one.node_id)], _ask(one, keys), _budget(one.spec))
        for one in await tx.execute(_LOWER, given)
        if str(one.node_id) in row_of
    ]


def _ask(row: Any, keys: Iterable[str]) -> Ask:
    resources = Resources(row.cpu_millicores, row.memory_bytes, row.disk_bytes)
    return asking.ask(resources, ContainerType(row.type), row.image, row.spec, row.priority, row.labels, keys)


def _budget(spec: Mapping[str, Any]) -> Budget | None:
    return BudgetRule(**spec["budget"]).value() if spec.get("budget") else None


async def leaving(tx: AsyncConnection, cluster_id: UUID, row_of: Mapping[str, int]) -> list[Leaving]:
    """What still claims on a node, but is about to go."""
    return [
        Leaving(row_of[str(one[0])], Resources(*one[1:4]), one[4])
        for one in await tx.execute(_LEAVING, {"cluster_id": cluster_id})
        if str(one[0]) in row_of
    ]


async def away(tx: AsyncConnection, cluster_id: UUID, budgets: Iterable[Budget]) -> dict[Budget, int]:
    """How many containers of each budget's group do not run now."""
    wanted = set(budgets)
    if not wanted:
        return {}
    rows = (await tx.execute(_NOT_RUNNING, {"cluster_id": cluster_id, "statuses": _AWAY})).all()
    return {one: sum(row.containers for row in rows if one.of.matches(row.labels)) for one in wanted}


async def evict(tx: AsyncConnection, victims: Mapping[UUID, str]) -> int:
    """Have these containers placed anew, each for the one that is named; how many that were.

    Their claims stand as departures until their instances are gone: the room is nobody's before, and none of them is
    placed before its own is.
    """
    found = (await containers.lock(tx, victims)).values()
    going = [one for one in found if one.status in EVICTABLE and one.claims]
    pending = [
        one.to(
            Status.PENDING,
            node_id=None,
            node=None,
            ipaddress=None,
            message=f"It gave way to {victims[one.id]}, which is more urgent. It is placed anew when it runs on "
            f"{one.node} no more.",
            decision_id=None,
            waiting=False,
            attempts=0,
            retry_at=None,
        )
        for one in going
    ]
    await claims.depart(tx, going)
    await containers.save(tx, pending)
    facts = [
        journal.about(one, Kind.CONTAINER_PREEMPTED, ACTOR, {"from": before.node, "for": victims[one.id]})
        for before, one in zip(going, pending, strict=True)
    ]
    told: dict[str, Sequence[Envelope]] = {}
    for one in going:
        told[one.node or ""] = [*told.get(one.node or "", ()), commands.delete_placement(one)]
    await journal.record(tx, facts, told)
    return len(going)
