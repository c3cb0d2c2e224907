"""Recording what happened: events and the messages that tell of them, in the transaction of the change itself."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


def about(container: Container, kind: Kind, actor: str, body: Mapping[str, Any] | None = None) -> Fact:
    """A fact about a container as it is now. Its status is part of the fact, so that the log alone tells the state."""
    return Fact(
        kind=kind,
        cluster_id=container.cluster_id,
        subject_type="container",
        subject_id=container.id,
        subject_name=container.hostname,
        actor=actor,
        generation=container.generation,
        node=container.node,
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


async def record(
    tx: AsyncConnection, facts: Sequence[Fact], commands: Mapping[str, Sequence[Envelope]] | None = None
) -> None:
    """Append `facts` to the event log, and put them and the `commands` (by node hostname) into the outbox.

    Call it after the rows it tells of were changed: their locks then make `seq` grow in the order of each subject's
    changes. One statement, however many facts.
    """
    messages = [
        {"exchange": Exchange.EVENTS, "routing_key": kind, "message": encode(envelopes)}
        for kind, envelopes in _by_kind(facts).items()
    ] + [
        {"exchange": Exchange.COMMANDS, "routing_key": node, "message": encode(envelopes)}
        for node, envelopes in (commands or {}).items()
    ]
    if not messages:
        return
    for kind, count in Counter(fact.kind for fact in facts).items():
        telemetry.EVENTS.labels(kind).inc(count)
    events = [{**_columns(fact), "body": orjson.dumps(fact.body).decode()} for fact in facts]
    await tx.execute(_RECORD, {**bulk.parameters(_EVENT, events), **bulk.parameters(_MESSAGE, messages)})


def _columns(fact: Fact) -> dict[str, Any]:
    return {name: getattr(fact, name) for name in _EVENT}


def _by_kind(facts: Sequence[Fact]) -> dict[Kind, list[Envelope]]:
    kinds: dict[Kind, list[Envelope]] = defaultdict(list)
    for fact in facts:
        kinds[fact.kind].append(
            Envelope(
                kind=fact.kind,
                cluster=str(fact.cluster_id),
                subject=str(fact.subject_id),
                generation=fact.generation,
                trace_id=fact.trace_id,
                body={**fact.body, "name": fact.subject_name, "node": fact.node},
            )
        )
    return kinds
