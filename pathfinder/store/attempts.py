"""Provisions that failed: written once for each placement, read to avoid the nodes where they failed, and to show."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.attempts import Attempt
from pathfinder.domain.containers import Container
from pathfinder.store import bulk

_ATTEMPT: bulk.Columns = {
    "container_id": "uuid",
    "generation": "bigint",
    "node": "text",
    "fault": "text",
    "reason": "text",
}
_KEEP = text(f"""
    INSERT INTO attempts (container_id, generation, node, fault, reason)
    SELECT container_id, generation, node, fault, reason FROM {bulk.rows(_ATTEMPT, "a")}
    ON CONFLICT DO NOTHING
""")  # noqa: S608 - the text is put together from the constants above


async def keep(tx: AsyncConnection, attempts: Sequence[Attempt]) -> None:
    """Write failed attempts. Each placement fails once, so one that is there already stays."""
    if attempts:
        items = [{name: getattr(one, name) for name in _ATTEMPT} for one in attempts]
        await tx.execute(_KEEP, bulk.parameters(_ATTEMPT, items))


_COUNTED: bulk.Columns = {"container_id": "uuid", "attempts": "bigint"}
_FAILED = text(f"""
    SELECT c.container_id, a.node
    FROM {bulk.rows(_COUNTED, "c")} CROSS JOIN LATERAL (
        SELECT node, generation FROM attempts AS a WHERE a.container_id = c.container_id
        ORDER BY generation DESC LIMIT c.attempts
    ) AS a
    ORDER BY c.container_id, a.generation
""")  # noqa: S608 - the text is put together from the constants above


async def failed_nodes(tx: AsyncConnection, containers: Iterable[Container]) -> dict[UUID, tuple[str, ...]]:
    """For each container whose last provisions failed: the nodes where they did, each once, the latest last."""
    items = [{"container_id": one.id, "attempts": one.attempts} for one in containers if one.attempts]
    if not items:
        return {}
    found: dict[UUID, dict[str, None]] = {}
    for id_, node in await tx.execute(_FAILED, bulk.parameters(_COUNTED, items)):
        nodes = found.setdefault(id_, {})
        nodes.pop(node, None)
        nodes[node] = None
    return {id_: tuple(nodes) for id_, nodes in found.items()}


async def now(tx: AsyncConnection) -> datetime:
    """The database's clock when the transaction began: the one that `retry_at` is compared with."""
    found: datetime = (await tx.execute(text("SELECT now()"))).scalar_one()
    return found
