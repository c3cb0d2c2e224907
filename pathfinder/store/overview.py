"""The whole store at a glance: what waits, what is where, and what is wrong."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.status import Finding, OutboxStatus, StandbyStatus

_OUTBOX = text("""
    SELECT count(*) FILTER (WHERE NOT held) AS rows, count(*) FILTER (WHERE held) AS held,
           COALESCE(EXTRACT(epoch FROM now() - min(created_at) FILTER (WHERE NOT held)), 0)::float8 AS oldest
    FROM outbox
""")
_NODES = text("""
    SELECT CASE WHEN status <> 'READY' THEN lower(status) WHEN aside_until > now() THEN 'aside'
                WHEN schedulable THEN 'ready' ELSE 'cordoned' END AS state, count(*)
    FROM nodes GROUP BY state ORDER BY state
""")
_READY = text("SELECT hostname FROM nodes WHERE status = 'READY' ORDER BY hostname")
_CONTAINERS = text("""
    SELECT status, count(*), count(*) FILTER (WHERE waiting AND status = 'PENDING')
    FROM containers WHERE status <> 'DELETED' GROUP BY status ORDER BY status
""")
_PROBLEMS = text("""
    SELECT kind, severity, subject, summary, advice, opened_at FROM problems WHERE closed_at IS NULL ORDER BY opened_at
""")
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


async def glance(connection: AsyncConnection) -> Glance:
    """Look once, at everything."""
    rows, held, oldest = (await connection.execute(_OUTBOX)).one()
    containers = (await connection.execute(_CONTAINERS)).all()
    return Glance(
        outbox=OutboxStatus(rows=rows, held=held, oldest_seconds=max(0.0, oldest)),
        nodes={row[0]: row[1] for row in await connection.execute(_NODES)},
        ready=list((await connection.execute(_READY)).scalars()),
        containers={row[0]: row[1] for row in containers},
        waiting=sum(row[2] for row in containers),
        problems=[
            Finding(kind=row[0], severity=row[1], subject=row[2], summary=row[3], advice=row[4], since=row[5])
            for row in await connection.execute(_PROBLEMS)
        ],
        standbys=[
            StandbyStatus(name=row[0], address=row[1], state=row[2], lag_bytes=row[3], lag_seconds=row[4])
            for row in await connection.execute(_STANDBYS)
        ],
    )
