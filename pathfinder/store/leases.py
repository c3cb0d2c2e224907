"""Leases: until when a node may run what was placed on it, renewed by its heartbeats."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.store import bulk

_LEASE: bulk.Columns = {"node_id": "uuid", "usage": "text", "said": "double precision"}
# A lease is never cut short: its node may not have heard yet that new ones are shorter, and run on for the old one.
_RENEW = text(f"""
    INSERT INTO leases (node_id, until, usage, seconds)
    SELECT h.node_id, now() + make_interval(secs => GREATEST(COALESCE(k.lease_seconds, :seconds), h.said)),
           h.usage::jsonb, h.said
    FROM {bulk.rows(_LEASE, "h")} JOIN nodes AS n ON n.id = h.node_id JOIN clusters AS k ON k.id = n.cluster_id
    ORDER BY h.node_id
    ON CONFLICT (node_id) DO UPDATE SET until = GREATEST(EXCLUDED.until, leases.until), usage = EXCLUDED.usage,
                                        seconds = COALESCE(EXCLUDED.seconds, leases.seconds)
""")  # noqa: S608 - the text is put together from the constants above


async def renew(
    tx: AsyncConnection,
    usage: Mapping[UUID, Mapping[str, Any]],
    lease_seconds: float,
    said: Mapping[UUID, float] | None = None,
) -> None:
    """Renew the leases of these nodes, and note how busy they are.

    For `lease_seconds` or what their cluster says, or for what they `said` that they count on, if that is more.
    """
    said = said or {}
    items = [
        {"node_id": node_id, "usage": orjson.dumps(one).decode(), "said": said.get(node_id)}
        for node_id, one in usage.items()
    ]
    await tx.execute(_RENEW, {"seconds": lease_seconds, **bulk.parameters(_LEASE, items)})


# Locked in the order in which heartbeats renew them.
_FRESH = text("""
    WITH held AS (
        SELECT l.node_id, n.status = 'READY' OR :everyone AS fresh,
               now() + make_interval(secs => GREATEST(COALESCE(k.lease_seconds, :seconds), l.seconds)) AS until
        FROM leases AS l JOIN nodes AS n ON n.id = l.node_id JOIN clusters AS k ON k.id = n.cluster_id
        WHERE CAST(:id AS uuid) IS NULL OR l.node_id = CAST(:id AS uuid) ORDER BY l.node_id FOR UPDATE OF l
    )
    UPDATE leases AS l SET until = CASE WHEN h.fresh THEN h.until ELSE LEAST(l.until, h.until) END
    FROM held AS h WHERE h.node_id = l.node_id
""")


async def extend(tx: AsyncConnection, node_id: UUID, lease_seconds: float) -> None:
    """Renew the lease of a node that was heard without saying how busy it is."""
    await tx.execute(_FRESH, {"seconds": lease_seconds, "id": node_id, "everyone": True})


# The database's clock may have been set back since they went DOWN: they wait as if it were just now.
_DATE_BACK = text("""
    WITH held AS (SELECT id FROM nodes WHERE down_at > now() ORDER BY id FOR UPDATE)
    UPDATE nodes AS n SET down_at = now() FROM held WHERE held.id = n.id
""")


async def renew_all(tx: AsyncConnection, lease_seconds: float, *, clock_was_set: bool = False) -> None:
    """Grant every READY node a fresh lease: we were away, not they. No lease is longer than that afterwards.

    Where the database's clock was set, the leases of DOWN nodes tell nothing either: they get one, too.
    """
    await tx.execute(_DATE_BACK)
    await tx.execute(_FRESH, {"seconds": lease_seconds, "id": None, "everyone": clock_was_set})


SILENT = "n.status = 'READY' AND GREATEST(l.until, n.reboot_until) < now()"


async def expired(tx: AsyncConnection) -> dict[UUID, str]:
    """The hostnames of READY nodes whose lease has ended, and whose silence nobody announced, by their ids."""
    result = await tx.execute(
        text(f"""
            SELECT n.id, n.hostname FROM nodes AS n JOIN leases AS l ON l.node_id = n.id
            WHERE {SILENT} ORDER BY n.id
        """)  # noqa: S608 - the text is put together from the constant above
    )
    return {row.id: row.hostname for row in result}
