"""The outbox: messages that are written with a change and published after it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.store import bulk
from pathfinder.store.journal import CHANNEL

#: Rows one relay takes at a time.
BATCH = 500


@dataclass(frozen=True, slots=True)
class Message:
    """A message to be published; `body` is a JSON array of envelopes."""

    id: int
    exchange: str
    routing_key: str
    body: bytes


_TAKE = text("""
    DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT :batch FOR UPDATE SKIP LOCKED)
    RETURNING id, exchange, routing_key, body
""")


async def take(tx: AsyncConnection) -> list[Message]:
    """Take the oldest messages that no other relay holds, oldest first.

    They are gone when `tx` commits and back when it does not: publish in between. A crash after publishing doubles
    them, which receivers bear; none is ever lost.
    """
    result = await tx.execute(_TAKE, {"batch": BATCH})
    return sorted((Message(*row) for row in result), key=lambda message: message.id)


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
