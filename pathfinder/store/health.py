"""The health of containers, as their nodes report it: written without taking them through a decision."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.controllers.health import Change
from pathfinder.domain.health import Seen
from pathfinder.domain.lifecycle import RUNNING, Health
from pathfinder.store import bulk

_SEEN: bulk.Columns = {
    "id": "uuid",
    "node_id": "uuid",
    "generation": "bigint",
    "health": "text",
    "message": "text",
    "restarts": "bigint",
    "settled": "boolean",
}
#: An agent that was started anew counts from 0: only one that knows it well again may lower the count.
_RESTARTS = "CASE WHEN s.settled THEN s.restarts ELSE GREATEST(o.restarts, s.restarts) END"
_RUNNING = ", ".join(f"'{status}'" for status in sorted(RUNNING))
_NOTE = text(f"""
    WITH changed AS (
        UPDATE containers AS c
        SET health = s.health, health_message = s.message, restarts = {_RESTARTS},
            health_at = CASE WHEN o.health = s.health THEN o.health_at ELSE now() END
        FROM {bulk.rows(_SEEN, "s")}, containers AS o
        WHERE c.id = s.id AND o.id = s.id AND c.node_id = s.node_id AND c.generation = s.generation
          AND c.status IN ({_RUNNING}) AND (o.health <> s.health OR o.restarts <> {_RESTARTS})
        RETURNING c.id, c.deployment_id, o.health AS was, c.health, o.restarts AS before, c.restarts
    ), touched AS (
        INSERT INTO touches (deployment_id) SELECT DISTINCT deployment_id FROM changed WHERE deployment_id IS NOT NULL
    )
    SELECT id, was, health, restarts > before AS restarted, restarts FROM changed ORDER BY id
""")  # noqa: S608 - the text is put together from the constants above


async def note(tx: AsyncConnection, node_id: UUID, seen: Sequence[Seen]) -> list[Change]:
    """Write what a node says of its containers, each once, which are locked; what that changed.

    Of another placement than the present one, or one that does not run, it means nothing.
    """
    if not seen:
        return []
    items = [
        {
            "id": one.container_id,
            "node_id": node_id,
            "generation": one.generation,
            "health": one.health,
            "message": one.message,
            "restarts": one.restarts,
            "settled": one.settled,
        }
        for one in seen
    ]
    rows = await tx.execute(_NOTE, bulk.parameters(_SEEN, items))
    return [Change(row.id, Health(row.was), Health(row.health), row.restarted, row.restarts) for row in rows]
