"""What is due when: the moments at which PENDING containers are worth another look though nothing happens."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.store import claims

_DUE = text(f"""
    SELECT cluster_id, waiting, extract(epoch FROM min(at) - now())::float8 AS seconds
    FROM (
        SELECT cluster_id, false AS waiting, retry_at AS at FROM containers AS c
        WHERE status = 'PENDING' AND retry_at IS NOT NULL AND NOT {claims.RUNS_STILL}
        UNION ALL
        SELECT cluster_id, true, aside_until FROM nodes AS n
        WHERE aside_until > :since AND EXISTS (
            SELECT FROM containers AS c WHERE c.cluster_id = n.cluster_id AND c.status = 'PENDING' AND c.waiting
        )
    ) AS due
    GROUP BY cluster_id, waiting ORDER BY min(at) LIMIT 1
""")  # noqa: S608 - the text is put together from a constant


@dataclass(frozen=True, slots=True)
class Due:
    """A moment in the future, `seconds` from now, at which a cluster's PENDING containers are to be looked at."""

    cluster_id: UUID
    waiting: bool
    seconds: float


#: Before every moment.
EVER = datetime(1970, 1, 1, tzinfo=UTC)


async def next_due(tx: AsyncConnection, since: datetime) -> tuple[Due | None, datetime]:
    """The earliest moment at which something is to be tried again, and the moment now, both by the database's clock.

    A failed provision stays due until it is placed or waits for room; one that may have left something running is not
    due before that is gone. A node that was set aside is due once, when its time is over: of those, only what came
    after `since` is told, which is the moment of the last look.
    """
    now: datetime = (await tx.execute(text("SELECT now()"))).scalar_one()
    row = (await tx.execute(_DUE, {"since": since})).one_or_none()
    return None if row is None else Due(row.cluster_id, row.waiting, row.seconds), now
