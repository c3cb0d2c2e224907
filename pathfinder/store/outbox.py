"""The outbox: messages that are written with a change and published after it."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

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
