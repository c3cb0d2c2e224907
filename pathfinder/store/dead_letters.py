"""Dead letters: messages nobody could process, kept for people to look at, replay or drop."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.controllers.dead_letters import Letter, replayed
from pathfinder.domain import views
from pathfinder.domain.errors import Conflict, NotFound
from pathfinder.store import bulk, outbox

#: Rows replayed by one statement; a body may be as large as a message.
BATCH = 100

#: So much of a body that is no list of envelopes is shown.
MAX_TEXT = 64 << 10

_LETTER: bulk.Columns = {
    "message_key": "uuid",
    "failed_at": "timestamptz",
    "queue": "text",
    "exchange": "text",
    "routing_key": "text",
    "reason": "text",
    "deliveries": "bigint",
    "kinds": "text",
    "subjects": "text",
    "message": "bytea",
}
_INSERT = text(f"""
    INSERT INTO dead_letters (message_key, failed_at, queue, exchange, routing_key, reason, deliveries, kinds, subjects,
                              body)
    SELECT message_key, failed_at, queue, exchange, routing_key, reason, deliveries, kinds::jsonb, subjects::jsonb,
           message
    FROM {bulk.rows(_LETTER, "d")}
    ON CONFLICT (message_key) DO NOTHING
""")  # noqa: S608 - the text is put together from the constants above


async def insert(tx: AsyncConnection, letters: Sequence[Letter]) -> None:
    """Keep dead letters; those that are kept already stay as they are."""
    items = [
        {
            "message_key": one.key,
            "failed_at": one.failed_at,
            "queue": one.queue,
            "exchange": one.exchange,
            "routing_key": one.routing_key,
            "reason": one.reason,
            "deliveries": one.deliveries,
            "kinds": orjson.dumps(one.kinds).decode(),
            "subjects": orjson.dumps(one.subjects).decode(),
            "message": one.body,
        }
        for one in letters
    ]
    await tx.execute(_INSERT, bulk.parameters(_LETTER, items))


async def page(tx: AsyncConnection, queue: str | None, before: int, limit: int) -> list[views.DeadLetter]:
    """Dead letters of a queue, or of all, newest first: those with a smaller id than `before`."""
    rows = await tx.execute(
        text("""
            SELECT id, failed_at AS at, queue, kinds, subjects, reason, deliveries, exchange, routing_key,
                   octet_length(body) AS size_bytes
            FROM dead_letters WHERE id < :before AND (CAST(:queue AS text) IS NULL OR queue = :queue)
            ORDER BY id DESC LIMIT :limit
        """),
        {"queue": queue, "before": before, "limit": limit},
    )
    return [views.DeadLetter.model_validate(dict(row)) for row in rows.mappings()]


async def find(tx: AsyncConnection, id_: int) -> views.DeadMessage:
    """One dead letter, whole. Raises NotFound."""
    rows = await tx.execute(
        text("""
            SELECT id, failed_at AS at, queue, kinds, subjects, reason, deliveries, exchange, routing_key,
                   octet_length(body) AS size_bytes, body
            FROM dead_letters WHERE id = :id
        """),
        {"id": id_},
    )
    row = rows.mappings().one_or_none()
    if row is None:
        raise _absent(id_)
    found = dict(row)
    body = found.pop("body")
    envelopes = _envelopes(body)
    shown = None if envelopes is not None else body[:MAX_TEXT].decode(errors="backslashreplace")
    replayable = replayed(found["exchange"], body) is not None
    return views.DeadMessage(**found, replayable=replayable, envelopes=envelopes, text=shown)


def _envelopes(body: bytes) -> list[Any] | None:
    try:
        parts = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return parts if isinstance(parts, list) else None


async def replay(tx: AsyncConnection, id_: int) -> None:
    """Put a message back to where it was published first, and forget that it was dead, in one transaction.

    Raises NotFound, and Conflict where nobody could ever read it.
    """
    rows = await tx.execute(
        text("SELECT exchange, routing_key, body, reason FROM dead_letters WHERE id = :id FOR UPDATE"), {"id": id_}
    )
    row = rows.one_or_none()
    if row is None:
        raise _absent(id_)
    body = replayed(row.exchange, row.body)
    if body is None:
        raise Conflict(
            f"Dead letter {id_} is no message of Pathfinder's ({row.reason}); nobody could ever read it. "
            f"Look at it with `pfi dead show {id_}`, and drop it with `pfi dead drop {id_}`."
        )
    await outbox.put(tx, [(row.exchange, row.routing_key, body)])
    await tx.execute(text("DELETE FROM dead_letters WHERE id = :id"), {"id": id_})


_NEXT = text("""
    SELECT id, exchange, routing_key, body FROM dead_letters
    WHERE id > :after AND (CAST(:queue AS text) IS NULL OR queue = :queue)
    ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
""")


async def replay_all(tx: AsyncConnection, queue: str | None) -> views.Replayed:
    """Put every message of a queue, or of all, back, oldest first; those nobody could ever read are kept."""
    after, count, kept = 0, 0, 0
    while True:
        rows = (await tx.execute(_NEXT, {"queue": queue, "after": after, "limit": BATCH})).all()
        if not rows:
            return views.Replayed(replayed=count, kept=kept)
        after = rows[-1].id
        bodies = {row.id: replayed(row.exchange, row.body) for row in rows}
        ready = [(row.exchange, row.routing_key, body) for row in rows if (body := bodies[row.id]) is not None]
        done = [id_ for id_, body in bodies.items() if body is not None]
        await outbox.put(tx, ready)
        await tx.execute(text("DELETE FROM dead_letters WHERE id = ANY(:ids)"), {"ids": done})
        count, kept = count + len(done), kept + len(rows) - len(done)


async def drop(tx: AsyncConnection, id_: int) -> None:
    """Forget a message for good. Raises NotFound."""
    result = await tx.execute(text("DELETE FROM dead_letters WHERE id = :id"), {"id": id_})
    if not result.rowcount:
        raise _absent(id_)


async def drop_all(tx: AsyncConnection, queue: str | None) -> int:
    """Forget every message of a queue, or of all, for good; how many there were."""
    result = await tx.execute(
        text("DELETE FROM dead_letters WHERE CAST(:queue AS text) IS NULL OR queue = :queue"), {"queue": queue}
    )
    return int(result.rowcount)


def _absent(id_: int) -> NotFound:
    return NotFound("dead letter", str(id_), "`pfi dead list` lists those there are.")
