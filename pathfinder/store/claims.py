"""What placements claim on nodes: taken under the node's generation, given back when the placement ends.

At any moment a node's claim is the sum over its placements (containers in a claiming status) and its departures
(former placements whose instance is not yet reported gone). `tests` recompute it from scratch.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.containers import Container
from pathfinder.domain.resources import Resources
from pathfinder.store import bulk


@dataclass(slots=True)
class Claim:
    """An amount on one node: cpu in millicores, memory and disk in bytes, the number of placements, and how many of
    them are stateful.
    """

    cpu: int = 0
    memory: int = 0
    disk: int = 0
    containers: int = 0
    stateful: int = 0

    def add(self, resources: Resources, stateful: bool) -> None:
        """One more placement of this size."""
        self.cpu += resources.cpu_millicores
        self.memory += resources.memory_bytes
        self.disk += resources.disk_bytes
        self.containers += 1
        self.stateful += stateful


Claims = dict[UUID, Claim]


def total(placements: Iterable[tuple[UUID, Resources, bool]]) -> Claims:
    """The claims of `(node id, size, whether stateful)`, summed for each node."""
    claims: Claims = defaultdict(Claim)
    for node_id, resources, stateful in placements:
        claims[node_id].add(resources, stateful)
    return claims


_AMOUNTS: bulk.Columns = {
    "id": "uuid",
    "cpu": "bigint",
    "memory": "bigint",
    "disk": "bigint",
    "containers": "bigint",
    "stateful": "bigint",
}
_GUARDED: bulk.Columns = {**_AMOUNTS, "generation": "bigint"}

# Rows are locked in the order of their ids, so that two writers cannot wait for each other; PostgreSQL looks at the
# generation again once it has the lock, so a node that changed meanwhile drops out. What is claimed comes along with
# the locked rows: PostgreSQL expects few of them, and would look for each among all others, seconds for thousands.
_TAKE = f"""
    WITH held AS (
        SELECT w.* FROM nodes AS n JOIN {bulk.rows(_GUARDED, "w")} ON w.id = n.id
        WHERE n.generation = w.generation AND n.schedulable AND n.status = 'READY'
          AND (n.aside_until IS NULL OR n.aside_until <= now())
        ORDER BY n.id FOR UPDATE OF n {{}}
    )
    UPDATE nodes AS n
    SET cpu_claimed = n.cpu_claimed + w.cpu, memory_claimed = n.memory_claimed + w.memory,
        disk_claimed = n.disk_claimed + w.disk, containers = n.containers + w.containers,
        stateful = n.stateful + w.stateful, generation = n.generation + 1
    FROM held AS w WHERE n.id = w.id
    RETURNING n.id
"""  # noqa: S608 - the text is put together from the constants above
_TAKE_OR_WAIT, _TAKE_FREE = text(_TAKE.format("")), text(_TAKE.format("SKIP LOCKED"))

_GIVE_BACK = text(f"""
    WITH held AS (
        SELECT f.* FROM nodes AS n JOIN {bulk.rows(_AMOUNTS, "f")} ON f.id = n.id ORDER BY n.id FOR UPDATE OF n
    )
    UPDATE nodes AS n
    SET cpu_claimed = n.cpu_claimed - f.cpu, memory_claimed = n.memory_claimed - f.memory,
        disk_claimed = n.disk_claimed - f.disk, containers = n.containers - f.containers,
        stateful = n.stateful - f.stateful,
        generation = n.generation + 1, supply = n.supply + 1
    FROM held AS f WHERE n.id = f.id
""")  # noqa: S608 - the text is put together from the constants above


async def take(tx: AsyncConnection, claims: Claims, generations: dict[UUID, int], *, wait: bool) -> set[UUID]:
    """Claim on the nodes that are still at the generation the decision was made on; the ids of those that were.

    What was decided for the others must be decided again on fresh rows. Only a transaction that holds no node yet may
    `wait` for others that do: two that hold some and wait for more could wait for each other.
    """
    items = [{"id": node, **_columns(claim), "generation": generations[node]} for node, claim in claims.items()]
    statement = _TAKE_OR_WAIT if wait else _TAKE_FREE
    return set((await tx.execute(statement, bulk.parameters(_GUARDED, items))).scalars())


async def give_back(tx: AsyncConnection, claims: Claims) -> None:
    """Return what ended placements claimed."""
    if claims:
        items = [{"id": node, **_columns(claim)} for node, claim in claims.items()]
        await tx.execute(_GIVE_BACK, bulk.parameters(_AMOUNTS, items))


def _columns(claim: Claim) -> dict[str, int]:
    return {
        "cpu": claim.cpu,
        "memory": claim.memory,
        "disk": claim.disk,
        "containers": claim.containers,
        "stateful": claim.stateful,
    }


_LEAVING: bulk.Columns = {
    "container_id": "uuid",
    "generation": "bigint",
    "node_id": "uuid",
    "cpu": "bigint",
    "memory": "bigint",
    "disk": "bigint",
    "stateful": "boolean",
    "guarded": "boolean",
}
_DEPART = text(f"""
    INSERT INTO departures (container_id, generation, node_id, cpu_millicores, memory_bytes, disk_bytes, stateful,
                            guarded)
    SELECT container_id, generation, node_id, cpu, memory, disk, stateful, guarded FROM {bulk.rows(_LEAVING, "d")}
""")  # noqa: S608 - the text is put together from the constants above


#: True of a container `c` that must not be placed now: its instance may still run on a node that works. One that is
#: DOWN runs nothing: its lease is over, and what is left there goes before it is READY.
RUNS_STILL = """
    EXISTS (SELECT FROM departures AS d JOIN nodes AS m ON m.id = d.node_id
            WHERE d.container_id = c.id AND d.guarded AND m.status = 'READY')
"""
_UNGUARD = text("""
    UPDATE departures AS d SET guarded = false FROM nodes AS m
    WHERE m.id = d.node_id AND d.container_id = :id AND d.guarded AND m.status = 'READY'
""")


async def unguard(tx: AsyncConnection, container_id: UUID) -> bool:
    """Let a container be placed anew although its instance may still run; whether that had held it back."""
    return (await tx.execute(_UNGUARD, {"id": container_id})).rowcount > 0


async def depart(tx: AsyncConnection, leaving: Sequence[Container], *, guarded: bool = True) -> None:
    """Remember that the placements these containers leave still hold their claims.

    Unless they are not `guarded`, the containers are placed anew only when nothing of these placements runs any more.
    """
    if leaving:
        items = [
            {
                "container_id": one.id,
                "generation": one.generation,
                "node_id": one.node_id,
                "cpu": one.resources.cpu_millicores,
                "memory": one.resources.memory_bytes,
                "disk": one.resources.disk_bytes,
                "stateful": one.stateful,
                "guarded": guarded,
            }
            for one in leaving
        ]
        await tx.execute(_DEPART, bulk.parameters(_LEAVING, items))


@dataclass(frozen=True, slots=True)
class Departure:
    """A former placement."""

    container_id: UUID
    generation: int
    node_id: UUID
    resources: Resources
    stateful: bool = False


_PLACEMENT: bulk.Columns = {"container_id": "uuid", "generation": "bigint", "node_id": "uuid"}
_FINISH = text(f"""
    DELETE FROM departures AS d USING {bulk.rows(_PLACEMENT, "g")}
    WHERE d.container_id = g.container_id AND d.generation <= g.generation AND d.node_id = g.node_id
    RETURNING d.container_id, d.generation, d.node_id, d.cpu_millicores, d.memory_bytes, d.disk_bytes, d.stateful
""")  # noqa: S608 - the text is put together from the constants above


async def finish_departures(tx: AsyncConnection, gone: Iterable[tuple[UUID, int, UUID]]) -> list[Departure]:
    """End the departures of `(container, generation, node)` whose instances are gone; those that were still open."""
    items = [{"container_id": c, "generation": g, "node_id": n} for c, g, n in gone]
    if not items:
        return []
    result = await tx.execute(_FINISH, bulk.parameters(_PLACEMENT, items))
    return [Departure(row[0], row[1], row[2], Resources(*row[3:6]), row[6]) for row in result]


async def open_departures(tx: AsyncConnection, node_id: UUID, until: datetime) -> list[tuple[UUID, int]]:
    """The `(container, generation)` pairs a node was told to delete by then and has not reported gone."""
    result = await tx.execute(
        text("SELECT container_id, generation FROM departures WHERE node_id = :node_id AND created_at <= :until"),
        {"node_id": node_id, "until": until},
    )
    return [(row[0], row[1]) for row in result]
