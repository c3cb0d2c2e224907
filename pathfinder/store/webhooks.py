"""Webhooks, and the notices that wait for them or were taken.

A notice is claimed before it is sent, for longer than sending takes: whoever dies in between leaves it to be claimed
again, with the same id. So a receiver may get a notice twice, but never misses one that it would have taken.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.controllers.notices import REPEAT_SECONDS
from pathfinder.domain import views
from pathfinder.domain.errors import AlreadyExists, NotFound
from pathfinder.domain.ids import uuid7
from pathfinder.domain.messages import Kind
from pathfinder.domain.problems import ProblemKind
from pathfinder.domain.specs import WebhookSpec
from pathfinder.domain.webhooks import Format, Notice, State
from pathfinder.store import problems
from pathfinder.store.journal import Fact, record

#: Longer than one POST may take.
CLAIM_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where a webhook's notices go."""

    id: UUID
    name: str
    url: str
    format: Format
    secret: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notice to be sent now, and for which time that is."""

    notice: Notice
    attempt: int


_VIEW = """
    SELECT w.name, w.url, w.format, w.kinds, w.created_at,
           (SELECT count(*) FROM deliveries AS d
            WHERE d.webhook_id = w.id AND d.next_at IS NOT NULL AND d.delivered_at IS NULL) AS pending,
           (SELECT jsonb_build_object('at', d.tried_at, 'state', d.state, 'kind', p.kind, 'attempts', d.attempts,
                                      'taken', d.error IS NULL AND d.delivered_at IS NOT NULL, 'error', d.error)
            FROM deliveries AS d JOIN problems AS p ON p.id = d.problem_id
            WHERE d.webhook_id = w.id AND d.tried_at IS NOT NULL ORDER BY d.tried_at DESC LIMIT 1) AS last_delivery
    FROM webhooks AS w
"""


async def page(tx: AsyncConnection, after: str, limit: int) -> list[views.Webhook]:
    """Webhooks by name, those after `after`."""
    rows = await tx.execute(
        text(f"{_VIEW} WHERE w.name > :after ORDER BY w.name LIMIT :limit"), {"after": after, "limit": limit}
    )
    return [views.Webhook.model_validate(dict(row)) for row in rows.mappings()]


async def view(tx: AsyncConnection, name: str) -> views.Webhook:
    """One webhook as clients see it. Raises NotFound."""
    row = (await tx.execute(text(f"{_VIEW} WHERE w.name = :name"), {"name": name})).mappings().one_or_none()
    if row is None:
        raise _not_found(name)
    return views.Webhook.model_validate(dict(row))


async def find(tx: AsyncConnection, name: str) -> Receiver:
    """The webhook of that name. Raises NotFound."""
    row = (
        await tx.execute(text("SELECT id, name, url, format, secret FROM webhooks WHERE name = :name"), {"name": name})
    ).one_or_none()
    if row is None:
        raise _not_found(name)
    return _receiver(row)


async def create(tx: AsyncConnection, spec: WebhookSpec, secret: str) -> None:
    """A new webhook; it is told of what is open at once. Raises AlreadyExists."""
    made = await tx.execute(
        text("""
            INSERT INTO webhooks (id, name, url, format, secret, kinds)
            VALUES (:id, :name, :url, :format, :secret, CAST(:kinds AS jsonb))
            ON CONFLICT (name) DO NOTHING RETURNING id
        """),
        {
            "id": uuid7(),
            "name": spec.name,
            "url": spec.url,
            "format": spec.format,
            "secret": secret,
            "kinds": orjson.dumps(spec.kinds).decode(),
        },
    )
    if made.scalar_one_or_none() is None:
        raise AlreadyExists(f"There is a webhook named {spec.name!r} already; choose another name, or delete it first.")
    open_ids = await tx.execute(text("SELECT id FROM problems WHERE closed_at IS NULL"))
    await problems.announce(tx, list(open_ids.scalars()))


async def delete(tx: AsyncConnection, name: str) -> None:
    """Forget a webhook and its notices. Raises NotFound."""
    result = await tx.execute(text("DELETE FROM webhooks WHERE name = :name"), {"name": name})
    if not result.rowcount:
        raise _not_found(name)


def _not_found(name: str) -> NotFound:
    return NotFound("webhook", name, "`pfi get webhooks` lists those there are.")


async def who_hear(tx: AsyncConnection, kind: ProblemKind) -> list[Receiver]:
    """The webhooks that want to know of problems of this kind."""
    rows = await tx.execute(
        text("""
            SELECT id, name, url, format, secret FROM webhooks
            WHERE kinds = '[]'::jsonb OR jsonb_exists(kinds, :kind) ORDER BY name
        """),
        {"kind": kind},
    )
    return [_receiver(row) for row in rows]


async def waiting(tx: AsyncConnection) -> list[Receiver]:
    """The webhooks that a notice is due for."""
    rows = await tx.execute(
        text("""
            SELECT w.id, w.name, w.url, w.format, w.secret FROM webhooks AS w
            WHERE EXISTS (SELECT FROM deliveries AS d WHERE d.webhook_id = w.id AND d.next_at <= now())
        """)
    )
    return [_receiver(row) for row in rows]


# That a problem is over is told after that it was there, and only then.
_CLAIM = text("""
    WITH due AS (
        SELECT d.id FROM deliveries AS d JOIN problems AS p ON p.id = d.problem_id
        WHERE d.webhook_id = :webhook_id AND d.next_at <= now() AND (
            d.state = 'firing' OR NOT EXISTS (
                SELECT FROM deliveries AS f WHERE f.webhook_id = d.webhook_id AND f.problem_id = d.problem_id
                  AND f.state = 'firing' AND f.delivered_at IS NULL AND f.next_at IS NOT NULL))
        ORDER BY p.opened_at, p.id, d.state LIMIT 1 FOR UPDATE OF d SKIP LOCKED
    )
    UPDATE deliveries AS d
    SET attempts = d.attempts + 1, tried_at = now(), next_at = now() + make_interval(secs => :claim)
    FROM due JOIN deliveries AS o ON o.id = due.id JOIN problems AS p ON p.id = o.problem_id
         LEFT JOIN clusters AS k ON k.id = p.cluster_id
    WHERE d.id = due.id
    RETURNING d.id, d.state, d.attempts, p.id AS problem_id, p.key, p.kind, p.severity, k.name AS cluster, p.subject,
              p.summary, p.advice, p.opened_at, p.closed_at
""")


async def claim(tx: AsyncConnection, webhook_id: UUID) -> Claimed | None:
    """The next notice of a webhook, for the caller alone to send; None if nothing is due."""
    given = {"webhook_id": webhook_id, "claim": CLAIM_SECONDS}
    row = (await tx.execute(_CLAIM, given)).one_or_none()
    if row is None:
        return None
    state = State(row.state)
    notice = Notice(
        id=row.id,
        state=state,
        problem_id=row.problem_id,
        key=row.key,
        kind=row.kind,
        severity=row.severity,
        cluster=row.cluster,
        subject=row.subject,
        summary=row.summary,
        advice=row.advice,
        opened_at=row.opened_at,
        closed_at=row.closed_at if state is State.RESOLVED else None,
    )
    return Claimed(notice, row.attempts)


async def taken(tx: AsyncConnection, notice_id: UUID) -> None:
    """The receiver has it. Alertmanager is told again and again while the problem lasts: it forgets."""
    await tx.execute(
        text("""
            UPDATE deliveries AS d
            SET delivered_at = COALESCE(d.delivered_at, now()), error = NULL, attempts = 0,
                next_at = CASE WHEN w.format = 'alertmanager' AND d.state = 'firing' AND p.closed_at IS NULL
                               THEN now() + make_interval(secs => :repeat) END
            FROM webhooks AS w, problems AS p
            WHERE d.id = :id AND w.id = d.webhook_id AND p.id = d.problem_id
        """),
        {"id": notice_id, "repeat": REPEAT_SECONDS},
    )


async def failed(
    tx: AsyncConnection, receiver: Receiver, notice: Notice, error: str, wait_seconds: float | None
) -> None:
    """The receiver did not take it: again after `wait_seconds`, or never, which is an event."""
    await tx.execute(
        text("""
            UPDATE deliveries SET error = :error, next_at = now() + make_interval(secs => CAST(:wait AS float8))
            WHERE id = :id
        """),
        {"id": notice.id, "error": error, "wait": wait_seconds},
    )
    if wait_seconds is not None:
        return
    # Who was never told that it was there is not told that it is over.
    await tx.execute(
        text("""
            DELETE FROM deliveries AS d USING deliveries AS f
            WHERE f.id = :id AND f.state = 'firing' AND f.delivered_at IS NULL
              AND d.webhook_id = f.webhook_id AND d.problem_id = f.problem_id AND d.state = 'resolved'
        """),
        {"id": notice.id},
    )
    body: dict[str, Any] = {"reason": error, "key": notice.key, "state": notice.state}
    fact = Fact(
        Kind.WEBHOOK_GIVEN_UP,
        await problems.home(tx),
        "webhook",
        receiver.id,
        receiver.name,
        problems.ACTOR,
        body=body,
    )
    await record(tx, [fact])


def _receiver(row: Any) -> Receiver:
    return Receiver(row.id, row.name, row.url, Format(row.format), row.secret)
