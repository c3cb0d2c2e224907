"""The outbox: messages that are written with a change and published after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.store import bulk
from pathfinder.store.journal import CHANNEL

#: Rows one relay takes at a time: the more of them, the more go the same way and travel as one. A row is a kilobyte or
#: two, as a rule.
BATCH = 30_000


#: Stands where an exchange does in a row that is no message: the queue of the node that is its routing key is to be
#: there if that is a node, and else to go. (Relays of before let only go.)
QUEUES = "pathfinder.retired"


@dataclass(frozen=True, slots=True)
class Message:
    """A message to be published; `body` is a JSON array of envelopes."""

    id: int
    exchange: str
    routing_key: str
    body: bytes
    created_at: datetime | None = None


_TAKE = """
    DELETE FROM outbox WHERE id IN (SELECT id FROM outbox {} ORDER BY id LIMIT :batch FOR UPDATE SKIP LOCKED)
    RETURNING id, exchange, routing_key, body, created_at
"""
_WAY: bulk.Columns = {"held_exchange": "text", "held_key": "text"}
_TAKE_ALL = text(_TAKE.format(""))
_TAKE_OTHERS = text(
    _TAKE.format(f"WHERE (exchange, routing_key) NOT IN (SELECT h.* FROM {bulk.rows(_WAY, 'h')})")  # noqa: S608
)


async def take(tx: AsyncConnection, held: Sequence[tuple[str, str]] = ()) -> list[Message]:
    """Take the oldest messages that no other relay holds, oldest first; none for the `held` exchanges and keys.

    They are gone when `tx` commits and back when it does not: publish in between. A crash after publishing doubles
    them, which receivers bear; none is ever lost.
    """
    ways = [dict(zip(_WAY, way, strict=True)) for way in held]
    given = {"batch": BATCH, **(bulk.parameters(_WAY, ways) if held else {})}
    result = await tx.execute(_TAKE_OTHERS if held else _TAKE_ALL, given)
    return sorted((Message(*row) for row in result), key=lambda message: message.id)


async def waiting(tx: AsyncConnection, most: int) -> int:
    """How many messages wait for a relay, counted up to `most`: those that full queues hold up say nothing of it."""
    counted = text("SELECT count(*) FROM (SELECT FROM outbox WHERE NOT held LIMIT :most) AS first")
    result = await tx.execute(counted, {"most": most})
    return int(result.scalar_one())


_ROW: bulk.Columns = {
    "id": "bigint",
    "exchange": "text",
    "routing_key": "text",
    "message": "bytea",
    "created_at": "timestamptz",
}


async def put_back(tx: AsyncConnection, messages: Sequence[Message]) -> None:
    """Messages that were taken in this transaction and refused by full queues, at their old places."""
    items = [
        {
            "id": one.id,
            "exchange": one.exchange,
            "routing_key": one.routing_key,
            "message": one.body,
            "created_at": one.created_at,
        }
        for one in messages
    ]
    await tx.execute(
        text(f"""
            INSERT INTO outbox (id, exchange, routing_key, body, created_at, held)
            SELECT id, exchange, routing_key, message, created_at, true FROM {bulk.rows(_ROW, "m")}
        """),  # noqa: S608 - only constants are put into the text
        bulk.parameters(_ROW, items),
    )


_PUT: bulk.Columns = {"exchange": "text", "routing_key": "text", "message": "bytea"}


async def put(tx: AsyncConnection, messages: Sequence[tuple[str, str, bytes]]) -> None:
    """Add messages, each an exchange, a routing key and a body that is a JSON array of envelopes."""
    items = [dict(zip(_PUT, message, strict=True)) for message in messages]
    await tx.execute(
        text(f"""
            WITH added AS (
                INSERT INTO outbox (exchange, routing_key, body)
                SELECT exchange, routing_key, message FROM {bulk.rows(_PUT, "m")}
            )
            SELECT pg_notify('{CHANNEL}', '')
        """),  # noqa: S608 - only constants are put into the text
        bulk.parameters(_PUT, items),
    )
