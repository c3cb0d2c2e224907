"""What is due when: the moments at which PENDING containers are worth another look though nothing happens."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_DUE = text("""
    SELECT cluster_id, waiting, extract(epoch FROM min(at) - clock_timestamp())::float8 AS seconds
    FROM (
        SELECT cluster_id, false AS waiting, retry_at AS at FROM containers
        WHERE status = 'PENDING' AND retry_at IS NOT NULL
    ) AS due
    GROUP BY cluster_id, waiting ORDER BY min(at) LIMIT 1
""")


@dataclass(frozen=True, slots=True)
class Due:
    """A moment in the future, `seconds` from now, at which a cluster's PENDING containers are to be looked at."""

    cluster_id: UUID
    waiting: bool
    seconds: float


async def next_due(tx: AsyncConnection) -> Due | None:
    """The earliest moment at which something is to be tried again, by the database's clock."""
    row = (await tx.execute(_DUE)).one_or_none()
    return None if row is None else Due(row.cluster_id, row.waiting, row.seconds)
