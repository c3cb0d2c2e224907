"""What nodes have, as their agents find it while they run: a machine may be given memory, and a pool grow."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.messages import Kind
from pathfinder.domain.resources import Resources
from pathfinder.store import bulk
from pathfinder.store.journal import record
from pathfinder.store.nodes import Node, fact

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
