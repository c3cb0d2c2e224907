"""Problems: one open row for each, an event when it opens and when it is over, and a notice for each webhook."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.controllers.noticing import Known, News
from pathfinder.domain import views
from pathfinder.domain.ids import uuid7
from pathfinder.domain.messages import Kind
from pathfinder.domain.problems import Problem, ProblemKind, event_of
from pathfinder.store import bulk
from pathfinder.store.journal import Fact, record

ACTOR = "controller"


async def known(tx: AsyncConnection) -> dict[str, Known]:
    """The open problems, by key; those of kinds that only a newer version knows are its own to end."""
    rows = await tx.execute(
        text("""
            SELECT key, kind, severity, summary, advice FROM problems WHERE closed_at IS NULL AND kind = ANY(:kinds)
        """),
        {"kinds": list(ProblemKind)},
    )
    return {row.key: Known(ProblemKind(row.kind), (row.severity, row.summary, row.advice)) for row in rows}


async def page(
    tx: AsyncConnection, every: bool, before: UUID | None, limit: int, within: Collection[str] | None = None
) -> list[views.KnownProblem]:
    """The open problems, or with `every` those that are over, too, newest first: those noticed before `before`.

    Only those of the clusters of these names, if some are given.
    """
    rows = await tx.execute(
        text("""
            SELECT p.id, p.kind, p.severity, c.name AS cluster, p.subject, p.summary, p.advice, p.opened_at,
                   p.closed_at, COALESCE(n.runtime = 'simulated', false) AS simulated
            FROM problems AS p LEFT JOIN clusters AS c ON c.id = p.cluster_id
            LEFT JOIN nodes AS n ON starts_with(p.kind, 'node.') AND n.hostname = p.subject
            WHERE (:every OR p.closed_at IS NULL) AND (CAST(:before AS uuid) IS NULL OR p.id < :before)
                  AND (CAST(:within AS text[]) IS NULL OR c.name = ANY(:within))
            ORDER BY p.id DESC LIMIT :limit
        """),
        {"every": every, "before": before, "limit": limit, "within": None if within is None else list(within)},
    )
    return [views.KnownProblem.model_validate(dict(row)) for row in rows.mappings()]


async def write(tx: AsyncConnection, news: News) -> None:
    """Write what opened, changed and ended, with its events and notices. Writing the same again changes nothing."""
    facts = [
        *await _open(tx, news.opened),
        *await _close(tx, news.ended),
    ]
    if news.changed:
        items = [_columns(one) for one in news.changed]
        await tx.execute(_CHANGE, bulk.parameters(_WORDS, items))
    await record(tx, facts)


_WORDS: bulk.Columns = {"key": "text", "severity": "text", "summary": "text", "advice": "text"}
_ROW: bulk.Columns = {**_WORDS, "id": "uuid", "kind": "text", "cluster_id": "uuid", "subject": "text"}
_INSERT = text(f"""
    INSERT INTO problems (id, key, kind, severity, cluster_id, subject, summary, advice)
    SELECT id, key, kind, severity, cluster_id, subject, summary, advice FROM {bulk.rows(_ROW, "p")}
    ON CONFLICT (key) WHERE closed_at IS NULL DO NOTHING RETURNING id, key
""")  # noqa: S608 - the text is put together from the constants above
_CHANGE = text(f"""
    UPDATE problems AS p SET severity = w.severity, summary = w.summary, advice = w.advice
    FROM {bulk.rows(_WORDS, "w")} WHERE p.key = w.key AND p.closed_at IS NULL
""")  # noqa: S608 - the text is put together from the constants above
_CLOSE = text("""
    UPDATE problems SET closed_at = now() WHERE key = ANY(:keys) AND closed_at IS NULL
    RETURNING id, key, kind, cluster_id, subject, EXTRACT(epoch FROM now() - opened_at)::float8 AS seconds
""")
_FIRING = text("""
    INSERT INTO deliveries (id, webhook_id, problem_id, state)
    SELECT gen_random_uuid(), w.id, p.id, 'firing' FROM problems AS p CROSS JOIN webhooks AS w
    WHERE p.id = ANY(:ids) AND (w.kinds = '[]'::jsonb OR jsonb_exists(w.kinds, p.kind))
    ON CONFLICT DO NOTHING
""")
# Whoever was never told of a problem, and never will be, is not told that it is over.
_RESOLVED = text("""
    INSERT INTO deliveries (id, webhook_id, problem_id, state)
    SELECT gen_random_uuid(), d.webhook_id, d.problem_id, 'resolved' FROM deliveries AS d
    WHERE d.problem_id = ANY(:ids) AND d.state = 'firing' AND (d.next_at IS NOT NULL OR d.delivered_at IS NOT NULL)
    ON CONFLICT DO NOTHING
""")
_SAY_NO_MORE = text("""
    UPDATE deliveries SET next_at = NULL
    WHERE problem_id = ANY(:ids) AND state = 'firing' AND delivered_at IS NOT NULL AND next_at IS NOT NULL
""")
# A problem of the whole Pathfinder is told in one cluster's log: the default one, else the oldest.
_HOME = text("SELECT id FROM clusters ORDER BY name <> 'default', created_at, id LIMIT 1")


async def _open(tx: AsyncConnection, opened: Sequence[Problem]) -> list[Fact]:
    if not opened:
        return []
    items = [{**_columns(one), "id": uuid7()} for one in opened]
    made = {row.key: row.id for row in await tx.execute(_INSERT, bulk.parameters(_ROW, items))}
    await announce(tx, list(made.values()))
    return [
        _fact(
            kind,
            one.cluster_id or await home(tx),
            one.subject,
            made[one.key],
            {"severity": one.severity, "reason": one.summary, "advice": one.advice, "key": one.key},
            (one.subject_type, one.subject_id),
        )
        for one in opened
        if one.key in made and (kind := event_of(one.kind)) is not None
    ]


async def _close(tx: AsyncConnection, keys: Sequence[str]) -> list[Fact]:
    if not keys:
        return []
    closed = (await tx.execute(_CLOSE, {"keys": list(keys)})).all()
    ids = {"ids": [row.id for row in closed]}
    await tx.execute(_RESOLVED, ids)
    await tx.execute(_SAY_NO_MORE, ids)
    return [
        _fact(
            Kind.PROBLEM_RESOLVED,
            row.cluster_id or await home(tx),
            row.subject,
            row.id,
            {"kind": row.kind, "key": row.key, "seconds": round(row.seconds, 1)},
        )
        for row in closed
        if event_of(ProblemKind(row.kind)) is not None
    ]


async def announce(tx: AsyncConnection, ids: Sequence[UUID]) -> None:
    """Have every webhook that wants to know told of these problems, unless it is told already."""
    await tx.execute(_FIRING, {"ids": list(ids)})


async def home(tx: AsyncConnection) -> UUID:
    """The cluster in whose log problems of the whole Pathfinder are told."""
    id_: UUID = (await tx.execute(_HOME)).scalar_one()
    return id_


def _columns(problem: Problem) -> dict[str, Any]:
    return {name: getattr(problem, name) for name in _ROW if name != "id"}


def _fact(
    kind: Kind,
    cluster_id: UUID,
    subject: str,
    problem_id: UUID,
    body: dict[str, Any],
    about: tuple[str, UUID | None] = ("problem", None),
) -> Fact:
    """About the container, node or cluster that is concerned; else about the problem itself."""
    type_, id_ = about
    return Fact(kind, cluster_id, type_, id_ or problem_id, subject, ACTOR, body=body)
