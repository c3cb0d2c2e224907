"""Telling of changes that belong to no cluster: who may do what, whom problems are told, dead letters."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.messages import Kind
from pathfinder.store.journal import Fact, record
from pathfinder.store.problems import home

#: Where there is no one thing that was changed.
NOTHING = UUID(int=0)


async def tell(
    tx: AsyncConnection,
    kind: Kind,
    id_: UUID,
    name: str,
    actor: str,
    trace_id: str,
    body: Mapping[str, object] | None = None,
) -> None:
    """Record what became of something, in the log of the usual cluster. The kind's family says what it is."""
    noun = kind.partition(".")[0]
    await record(tx, [Fact(kind, await home(tx), noun, id_, name, actor, trace_id=trace_id, body=dict(body or {}))])
