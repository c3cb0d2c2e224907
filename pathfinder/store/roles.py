"""Roles: what each process of the control plane says of itself, in one row for each of its roles."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.controllers.overview import Seen
from pathfinder.store import bulk


@dataclass(frozen=True, slots=True)
class Entry:
    """One role of a process. `parts` are what it needs, and what each says."""

    id: UUID
    role: str
    host: str
    pid: int
    version: str
    listen: str | None
    leader: bool
    parts: dict[str, str]


_ENTRY: bulk.Columns = {
    "id": "uuid",
    "role": "text",
    "host": "text",
    "pid": "bigint",
    "version": "text",
    "listen": "text",
    "leader": "boolean",
    "parts": "text",
}
_SAY = text(f"""
    INSERT INTO roles (id, role, host, pid, version, listen, leader, parts)
    SELECT id, role, host, pid, version, listen, leader, parts::jsonb FROM {bulk.rows(_ENTRY, "r")} ORDER BY id
    ON CONFLICT (id) DO UPDATE
    SET listen = EXCLUDED.listen, leader = EXCLUDED.leader, parts = EXCLUDED.parts, seen_at = now()
""")  # noqa: S608 - the text is put together from the constants above


async def say(tx: AsyncConnection, entries: Sequence[Entry]) -> None:
    """Write what these roles are like now; from here on they count as alive."""
    items: list[dict[str, Any]] = [
        {name: getattr(one, name) for name in _ENTRY} | {"parts": orjson.dumps(one.parts).decode()} for one in entries
    ]
    await tx.execute(_SAY, bulk.parameters(_ENTRY, items))


async def leave(tx: AsyncConnection, ids: Iterable[UUID]) -> None:
    """These roles ended in good order: nobody need miss them."""
    await tx.execute(text("DELETE FROM roles WHERE id = ANY(:ids)"), {"ids": list(ids)})


async def lately(tx: AsyncConnection) -> list[Seen]:
    """Every process heard in the last 24 hours."""
    result = await tx.execute(
        text("""
            SELECT role, host, pid, version, listen, leader, parts, started_at, seen_at,
                   EXTRACT(epoch FROM now() - seen_at)::float8 AS silent
            FROM roles WHERE seen_at > now() - interval '24 hours'
        """)
    )
    return [Seen(*row) for row in result]
