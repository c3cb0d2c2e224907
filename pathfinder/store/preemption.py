"""Containers that give way to more urgent ones: who could, what is on its way out already, and how they go."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain import commands
from pathfinder.domain.lifecycle import CLAIMING, RUNNING, TRANSITIONS, Status
from pathfinder.domain.messages import Envelope, Kind
from pathfinder.domain.resources import Resources
from pathfinder.domain.rules import BudgetRule
from pathfinder.domain.selectors import Selector
from pathfinder.scheduling.freeable import Lot
from pathfinder.scheduling.preempt import Budgets, Leaving, Tenant, keys_of
from pathfinder.store import claims, containers, journal
from pathfinder.store.database import Database, translated
from pathfinder.store.resilience import ask_of

ACTOR = "scheduler"

#: Statuses in which a container may be told to go: what is LOST is on a node nobody hears.
EVICTABLE = frozenset(status for status in CLAIMING - {Status.LOST} if Status.PENDING in TRANSITIONS[status])
_AWAY = sorted(set(Status) - RUNNING - {Status.DELETED, Status.SCHEDULE_DELETION})

# One scheduler at a time: two could evict for the same container. The lock is a session's, for no transaction may stay
# open while victims are chosen.
_ALONE = text("SELECT pg_advisory_lock(hashtextextended('pathfinder.preemption ' || :cluster_id, 0))")
#: How long others are waited for; and how long one may think before it is taken to hang, and others go on.
WAIT_SECONDS = 60

_LOWER = """
    FROM containers WHERE cluster_id = :cluster_id AND node_id {} AND type = 'STATELESS' AND priority < :below
      AND status = ANY(:statuses)
"""
_LOTS = text(f"""
    SELECT node_id, priority, ARRAY(SELECT labels ->> k.key FROM unnest(CAST(:keys AS text[])) AS k(key)) AS labels,
           count(*) AS containers, sum(cpu_millicores)::bigint, sum(memory_bytes)::bigint, sum(disk_bytes)::bigint,
           max(cpu_millicores), max(memory_bytes), max(disk_bytes)
    {_LOWER.format("IS NOT NULL")} GROUP BY 1, 2, 3
""")  # noqa: S608 - the text is put together from the constants above
_TENANTS = text(f"""
    SELECT id, node_id, type, image, cpu_millicores, memory_bytes, disk_bytes, labels, spec, priority, generation
    {_LOWER.format("= ANY(:nodes)")} ORDER BY id
""")
_BUDGETS = text("""
    SELECT DISTINCT spec -> 'budget' FROM containers
    WHERE cluster_id = :cluster_id AND status NOT IN ('DELETED', 'SCHEDULE_DELETION') AND spec -> 'budget' IS NOT NULL
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


@dataclass(frozen=True, slots=True)
class Going:
    """What is to be evicted: the placement of a container on a node, and the hostname of the one it is for."""

    node_id: UUID
    generation: int
    name: str


#: One transaction that can only commit while nobody else makes room. Raises Unavailable.
Alone = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


@asynccontextmanager
async def alone(database: Database, cluster_id: UUID) -> AsyncIterator[Alone]:
    """Wait until nobody else makes room in this cluster; then nobody does until this is left. Raises Unavailable.

    What is written through what this gives is written in the session that holds the lock: whoever thought for too long,
    and was taken to hang, writes nothing.
    """
    settings = {"idle_session_timeout": f"{WAIT_SECONDS}s"}
    async with database.session("pathfinder preemption", WAIT_SECONDS, settings) as session:
        with translated():
            async with session.begin():
                await session.execute(_ALONE, {"cluster_id": str(cluster_id)})

        @asynccontextmanager
        async def begin() -> AsyncIterator[AsyncConnection]:
            with translated():
                async with session.begin():
                    yield session

        yield begin


async def lots(
    tx: AsyncConnection, cluster_id: UUID, below: int, row_of: Mapping[str, int], budgets: Budgets
) -> list[Lot]:
    """The containers of lower priority than `below` that may have to go, summed up for the rows of their nodes."""
    keys = sorted(keys_of(budgets))
    given = {"cluster_id": cluster_id, "below": below, "statuses": sorted(EVICTABLE), "keys": keys}
    return [
        Lot(
            row_of[str(one.node_id)],
            one.priority,
            tuple((key, value) for key, value in zip(keys, one.labels, strict=True) if value is not None),
            one.containers,
            Resources(*one[4:7]),
            Resources(*one[7:10]),
        )
        for one in await tx.execute(_LOTS, given)
        if str(one.node_id) in row_of
    ]


async def tenants(
    tx: AsyncConnection, cluster_id: UUID, below: int, row_of: Mapping[str, int], keys: Collection[str]
) -> list[Tenant]:
    """The containers of lower priority than `below` that may have to go, on these rows, by the ids of their nodes.

    Of their labels those of the `keys` are told.
    """
    nodes = [UUID(one) for one in row_of]
    given = {"cluster_id": cluster_id, "below": below, "statuses": sorted(EVICTABLE), "nodes": nodes}
    return [
        Tenant(str(one.id), row_of[str(one.node_id)], ask_of(one, keys), one.generation)
        for one in await tx.execute(_TENANTS, given)
    ]


async def leaving(tx: AsyncConnection, cluster_id: UUID, row_of: Mapping[str, int]) -> list[Leaving]:
    """What still claims on a node, but is about to go."""
    return [
        Leaving(row_of[str(one[0])], Resources(*one[1:4]), one[4])
        for one in await tx.execute(_LEAVING, {"cluster_id": cluster_id})
        if str(one[0]) in row_of
    ]


async def budgets(tx: AsyncConnection, cluster_id: UUID) -> dict[Selector, int]:
    """How many more may go of each group that somebody has a budget for: of several for one group, by the strictest.

    Who does not run is away, whatever it is for.
    """
    most: dict[Selector, int] = {}
    for kept in (await tx.execute(_BUDGETS, {"cluster_id": cluster_id})).scalars():
        budget = BudgetRule(**kept).value()
        most[budget.of] = min(budget.max_unavailable, most.get(budget.of, budget.max_unavailable))
    if not most:
        return {}
    rows = (await tx.execute(_NOT_RUNNING, {"cluster_id": cluster_id, "statuses": _AWAY})).all()
    return {
        of: left - sum(row.containers for row in rows if of.matches(row.labels)) for of, left in sorted(most.items())
    }


async def evict(tx: AsyncConnection, victims: Mapping[UUID, Going]) -> int:
    """Have these containers placed anew, each for the one that is named; how many that were. Who moved meanwhile stays.

    Their claims stand as departures until their instances are gone: the room is nobody's before, and none of them is
    placed before its own is.
    """
    found = (await containers.lock(tx, victims)).values()
    going = [
        one
        for one in found
        if one.status in EVICTABLE
        and (one.node_id, one.generation) == (victims[one.id].node_id, victims[one.id].generation)
    ]
    pending = [
        one.to(
            Status.PENDING,
            node_id=None,
            node=None,
            ipaddress=None,
            message=f"It gave way to {victims[one.id].name}, which is more urgent. It is placed anew when it runs on "
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
        journal.about(one, Kind.CONTAINER_PREEMPTED, ACTOR, {"from": before.node, "for": victims[one.id].name})
        for before, one in zip(going, pending, strict=True)
    ]
    told: dict[str, Sequence[Envelope]] = {}
    for one in going:
        told[one.node or ""] = [*told.get(one.node or "", ()), commands.delete_placement(one)]
    await journal.record(tx, facts, told)
    return len(going)
