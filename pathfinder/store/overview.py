"""The whole store at a glance: what waits, what is where, and what is wrong."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.status import Finding, OutboxStatus, StandbyStatus

_OUTBOX = text("""
    SELECT count(*) FILTER (WHERE NOT held) AS rows, count(*) FILTER (WHERE held) AS held,
           COALESCE(EXTRACT(epoch FROM now() - min(created_at) FILTER (WHERE NOT held)), 0)::float8 AS oldest
    FROM outbox
""")
_NODES = """
    SELECT CASE WHEN status <> 'READY' THEN lower(status) WHEN aside_until > now() THEN 'aside'
                WHEN schedulable THEN 'ready' ELSE 'cordoned' END AS state, count(*)
    FROM nodes WHERE {0} GROUP BY state ORDER BY state
"""
_READY = "SELECT hostname FROM nodes WHERE status = 'READY' AND {0} ORDER BY hostname"
_CONTAINERS = """
    SELECT status, count(*), count(*) FILTER (WHERE waiting AND status = 'PENDING')
    FROM containers WHERE status <> 'DELETED' AND {0} GROUP BY status ORDER BY status
"""
_PROBLEMS = """
    SELECT kind, severity, subject, summary, advice, opened_at FROM problems
    WHERE closed_at IS NULL AND (cluster_id IS NULL OR {0}) ORDER BY opened_at
"""
_WITHIN = "cluster_id IN (SELECT id FROM clusters WHERE name = ANY(:within))"
# A server that is a standby itself has no position of its own to compare with.
_STANDBYS = text("""
    SELECT application_name, host(client_addr), state,
           (pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
                            replay_lsn))::bigint,
           EXTRACT(epoch FROM replay_lag)::float8
    FROM pg_stat_replication ORDER BY application_name, pid
""")


@dataclass(frozen=True, slots=True)
class Glance:
    """What the store says. `nodes` and `containers` are counts by state; `ready` are hostnames of READY nodes."""

    outbox: OutboxStatus
    nodes: dict[str, int]
    ready: list[str]
    containers: dict[str, int]
    waiting: int
    problems: list[Finding]
    standbys: list[StandbyStatus]


async def glance(connection: AsyncConnection, within: Collection[str] | None = None) -> Glance:
    """Look once, at everything; of the clusters only at those of these names, if some are given."""

    async def rows_of(query: str) -> Sequence[Any]:
        if within is None:
            return (await connection.execute(text(query.format("true")))).all()
        return (await connection.execute(text(query.format(_WITHIN)), {"within": list(within)})).all()

    rows, held, oldest = (await connection.execute(_OUTBOX)).one()
    containers = await rows_of(_CONTAINERS)
    return Glance(
        outbox=OutboxStatus(rows=rows, held=held, oldest_seconds=max(0.0, oldest)),
        nodes={row[0]: row[1] for row in await rows_of(_NODES)},
        ready=[row[0] for row in await rows_of(_READY)],
        containers={row[0]: row[1] for row in containers},
        waiting=sum(row[2] for row in containers),
        problems=[
            Finding(kind=row[0], severity=row[1], subject=row[2], summary=row[3], advice=row[4], since=row[5])
            for row in await rows_of(_PROBLEMS)
        ],
        standbys=[
            StandbyStatus(name=row[0], address=row[1], state=row[2], lag_bytes=row[3], lag_seconds=row[4])
            for row in await connection.execute(_STANDBYS)
        ],
    )
