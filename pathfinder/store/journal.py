"""Recording what happened: events and the messages that tell of them, in the transaction of the change itself."""

from collections import Counter, defaultdict
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder import telemetry
from pathfinder.domain.containers import Container
from pathfinder.domain.messages import Envelope, Exchange, Kind, encode
from pathfinder.store import bulk

#: Relays listen here; PostgreSQL delivers the notice when the transaction commits, not before.
CHANNEL = "pathfinder_outbox"

#: More facts than this are copied rather than inserted: one round trip more, and half the work.
FEW = 20


@dataclass(frozen=True, slots=True)
class Fact:
    """An event about to be recorded. `node` is a hostname; `actor` is who did it (`token:pfi`, `scheduler`)."""

    kind: Kind
    cluster_id: UUID
    subject_type: str
    subject_id: UUID
    subject_name: str
    actor: str
    generation: int = 0
    node: str | None = None
    trace_id: str = ""
    body: dict[str, Any] = field(default_factory=dict)


def about(
    container: Container, kind: Kind, actor: str, body: Mapping[str, Any] | None = None, node: str | None = None
) -> Fact:
    """A fact about a container as it is now, or about its time on another `node`. Its status is part of the fact, so
    that the log alone tells the state.
    """
    return Fact(
        kind=kind,
        cluster_id=container.cluster_id,
        subject_type="container",
        subject_id=container.id,
        subject_name=container.hostname,
        actor=actor,
        generation=container.generation,
        node=node or container.node,
        trace_id=container.trace_id,
        body={"status": container.status, **(body or {})},
    )


_EVENT: bulk.Columns = {
    "cluster_id": "uuid",
    "kind": "text",
    "subject_type": "text",
    "subject_id": "uuid",
    "subject_name": "text",
    "node": "text",
    "actor": "text",
    "generation": "bigint",
    "trace_id": "text",
    "body": "text",
}
_Row = tuple[Any, ...]
_MESSAGE: bulk.Columns = {"exchange": "text", "routing_key": "text", "message": "bytea"}

_RECORD = text(f"""
    WITH facts AS (
        INSERT INTO events
            (cluster_id, kind, subject_type, subject_id, subject_name, node, actor, generation, trace_id, body)
        SELECT cluster_id, kind, subject_type, subject_id, subject_name, node, actor, generation, trace_id, body::jsonb
        FROM {bulk.rows(_EVENT, "f")}
    ), messages AS (
        INSERT INTO outbox (exchange, routing_key, body)
        SELECT exchange, routing_key, message FROM {bulk.rows(_MESSAGE, "m")}
    )
    SELECT pg_notify('{CHANNEL}', '')
""")  # noqa: S608 - the text is put together from the constants above


def record(
    tx: AsyncConnection,
    facts: Sequence[Fact],
    commands: Mapping[str, Sequence[Envelope]] | None = None,
    *,
    appended: int = 0,
) -> Coroutine[Any, Any, None]:
    """Append `facts` to the event log, and put them and the `commands` (by node hostname) into the outbox.

    Call it after the rows it tells of were changed: their locks then make `seq` grow in the order of each subject's
    changes. One or two statements, however many facts. So many of the first are `appended` already. What is written is
    put together at once.
    """
    messages = [
        {"exchange": Exchange.EVENTS, "routing_key": kind, "message": encode(hints)}
        for kind, hints in _hints(facts).items()
    ] + [
        {"exchange": Exchange.COMMANDS, "routing_key": node, "message": encode(envelopes)}
        for node, envelopes in (commands or {}).items()
    ]
    return _record(tx, Counter(fact.kind for fact in facts), _rows(facts[appended:]), messages)


async def _record(
    tx: AsyncConnection, counts: Mapping[Kind, int], events: list[_Row], messages: Sequence[Mapping[str, Any]]
) -> None:
    if not messages:
        return
    for kind, count in counts.items():
        telemetry.EVENTS.labels(kind).inc(count)
    if len(events) > FEW:
        await _copy(tx, events)
        events = []
    columns = zip(*events, strict=True) if events else ([] for _ in _EVENT)
    given = dict(zip(_EVENT, map(list, columns), strict=True))
    await tx.execute(_RECORD, {**given, **bulk.parameters(_MESSAGE, messages)})


def append(tx: AsyncConnection, facts: Sequence[Fact]) -> Coroutine[Any, Any, None]:
    """Append some of the facts that `record` is going to tell of, whose rows were changed. What is written is put
    together at once.
    """
    return _copy(tx, _rows(facts))


async def _copy(tx: AsyncConnection, events: list[_Row]) -> None:
    await bulk.copy(tx, "events", list(_EVENT), events)


def _rows(facts: Sequence[Fact]) -> list[_Row]:
    return [(*_values(fact), orjson.dumps(fact.body).decode()) for fact in facts]


_values = attrgetter(*(name for name in _EVENT if name != "body"))


def _hints(facts: Sequence[Fact]) -> dict[Kind, list[Envelope]]:
    """What is told of `facts` at once. One alone is told whole; of many of a kind only that there are, and in which
    cluster: whoever wants more reads the log.
    """
    kinds: dict[Kind, dict[UUID, list[Fact]]] = defaultdict(lambda: defaultdict(list))
    for fact in facts:
        kinds[fact.kind][fact.cluster_id].append(fact)
    return {kind: [_hint(same) for same in clusters.values()] for kind, clusters in kinds.items()}


def _hint(facts: Sequence[Fact]) -> Envelope:
    first = facts[0]
    cluster = str(first.cluster_id)
    if len(facts) > 1:
        return Envelope(first.kind, cluster, cluster, trace_id=first.trace_id, body={"count": len(facts)})
    body = {**first.body, "name": first.subject_name, "node": first.node}
    return Envelope(first.kind, cluster, str(first.subject_id), first.generation, first.trace_id, body)
