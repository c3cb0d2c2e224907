"""What nodes have, as their agents find it while they run, for a machine may be given memory, and a pool grow; and how
much of it may be promised.
"""

from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.messages import Kind
from pathfinder.domain.resources import Resources
from pathfinder.store import bulk
from pathfinder.store.journal import record
from pathfinder.store.nodes import Node, fact
from pathfinder.store.states import promised

_SIZED: bulk.Columns = {"node_id": "uuid", "cpu": "bigint", "memory": "bigint", "disk": "bigint"}
# A pool's size moves a little all the time where the driver reckons it from what is free; a hundredth of it is no news.
_OTHER = """
    n.id = h.node_id AND (n.cpu_millicores <> h.cpu OR n.memory_bytes <> h.memory
                          OR abs(n.disk_bytes - h.disk) > n.disk_bytes / 100)
"""
_RESIZE = text(f"""
    WITH differing AS (
        SELECT n.id, h.cpu, h.memory, h.disk FROM nodes AS n JOIN {bulk.rows(_SIZED, "h")} ON {_OTHER}
        ORDER BY n.id FOR UPDATE OF n
    )
    UPDATE nodes AS n
    SET cpu_millicores = d.cpu, memory_bytes = d.memory, disk_bytes = d.disk, generation = n.generation + 1,
        supply = n.supply + 1
    FROM differing AS d WHERE d.id = n.id
    RETURNING n.id, n.cluster_id, n.hostname, n.cpu_millicores, n.memory_bytes, n.disk_bytes
""")  # noqa: S608 - the text is put together from the constants above


async def note(tx: AsyncConnection, capacities: Mapping[UUID, Resources]) -> None:
    """Note what these nodes have now; only those that differ are locked and written."""
    if not capacities:
        return
    items = [
        {"node_id": id_, "cpu": one.cpu_millicores, "memory": one.memory_bytes, "disk": one.disk_bytes}
        for id_, one in capacities.items()
    ]
    result = await tx.execute(_RESIZE, bulk.parameters(_SIZED, items))
    facts = []
    for id_, cluster_id, hostname, cpu, memory, disk in result:
        body = {"cpu_millicores": cpu, "memory_bytes": memory, "disk_bytes": disk}
        facts.append(fact(Kind.NODE_UPDATED, Node(id_, cluster_id, hostname), "agent", body=body))
    if facts:
        await record(tx, facts)


#: A policy's overcommit: of cpu, memory and disk.
Ratios = tuple[float, float, float]

_SIZE: bulk.Columns = {"cpu": "bigint", "memory": "bigint", "disk": "bigint"}


_CPU, _MEMORY, _DISK = (
    promised(column, part, f"CAST(:{part}_ratio AS float8)")
    for column, part in (("cpu_millicores", "cpu"), ("memory_bytes", "memory"), ("disk_bytes", "disk"))
)
_OF_CLUSTER = "nodes AS n JOIN clusters AS k ON k.id = n.cluster_id WHERE k.id = :cluster_id"
_TOO_LARGE = text(f"""
    SELECT w.cpu, w.memory, w.disk FROM {bulk.rows(_SIZE, "w")}
    WHERE NOT EXISTS (
        SELECT FROM {_OF_CLUSTER} AND {_CPU} >= w.cpu AND {_MEMORY} >= w.memory AND {_DISK} >= w.disk
    )
""")  # noqa: S608 - the text is put together from the constants above


async def too_large(
    tx: AsyncConnection, cluster_id: UUID, sizes: Iterable[Resources], overcommit: Ratios
) -> set[Resources]:
    """Those of these sizes that no node of a cluster could promise, even empty, under a policy with this overcommit;
    each is looked for only until found.
    """
    items = [
        {"cpu": one.cpu_millicores, "memory": one.memory_bytes, "disk": one.disk_bytes}
        for one in sizes
        if one != Resources()  # which fits anywhere
    ]
    if not items:
        return set()
    result = await tx.execute(
        _TOO_LARGE, {"cluster_id": cluster_id, **_ratios(overcommit), **bulk.parameters(_SIZE, items)}
    )
    return {Resources(*row) for row in result}


async def sizes(tx: AsyncConnection, cluster_id: UUID, overcommit: Ratios) -> list[Resources]:
    """The different sizes that nodes of a cluster have, as far as they may be promised under such a policy."""
    result = await tx.execute(
        text(f"SELECT DISTINCT {_CPU}, {_MEMORY}, {_DISK} FROM {_OF_CLUSTER}"),  # noqa: S608 - constants
        {"cluster_id": cluster_id, **_ratios(overcommit)},
    )
    return [Resources(*row) for row in result]


def _ratios(overcommit: Ratios) -> dict[str, float]:
    return dict(zip(("cpu_ratio", "memory_ratio", "disk_ratio"), overcommit, strict=True))
