"""How nodes have done lately: what provisions succeeded and failed there, and whether they are set aside for it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.controllers import setting_aside
from pathfinder.controllers.setting_aside import Standing
from pathfinder.domain.attempts import Attempt
from pathfinder.domain.messages import Kind
from pathfinder.store import attempts, bulk
from pathfinder.store.journal import Fact


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a provision on a node ended; no `failure`: a container was made."""

    node_id: UUID
    failure: Attempt | None = None


_COLUMNS = "id, cluster_id, hostname, failures, aside_until, aside_reason"
_BLEMISHED = text("""
    SELECT id FROM nodes WHERE id = ANY(:ids) AND (failures > 0 OR aside_until IS NOT NULL)
""")
_LOCK = text(f"SELECT {_COLUMNS} FROM nodes WHERE id = ANY(:ids) ORDER BY id FOR UPDATE")  # noqa: S608 - a constant
_ASIDE = text("""
    SELECT cluster_id, count(*) AS nodes, count(aside_until) AS aside FROM nodes
    WHERE cluster_id = ANY(:ids) AND status = 'READY' AND schedulable GROUP BY cluster_id
""")
_PLACE: bulk.Columns = {"container_id": "uuid", "generation": "bigint", "node": "text"}
_SEEN = text(f"""
    SELECT p.container_id, p.node FROM {bulk.rows(_PLACE, "p")}
    WHERE EXISTS (
        SELECT FROM attempts AS a WHERE a.container_id = p.container_id AND a.generation < p.generation
          AND a.node = p.node AND a.fault = 'node' AND a.at > now() - CAST(:recent AS interval)
    )
""")  # noqa: S608 - the text is put together from the constants above
_STANDING: bulk.Columns = {
    "node_id": "uuid",
    "failures": "bigint",
    "aside_until": "timestamptz",
    "aside_reason": "text",
    "moved": "boolean",
    "restored": "boolean",
}
_SAVE = text(f"""
    UPDATE nodes AS n
    SET failures = s.failures, aside_until = s.aside_until, aside_reason = s.aside_reason,
        generation = n.generation + s.moved::int, supply = n.supply + s.restored::int
    FROM {bulk.rows(_STANDING, "s")} WHERE n.id = s.node_id
""")  # noqa: S608 - the text is put together from the constants above


async def judge(tx: AsyncConnection, outcomes: Sequence[Outcome], also: Iterable[UUID]) -> list[Fact]:
    """Change the standing of the nodes on which provisions ended, in that order; what there is to tell of it.

    Locks those nodes, and `also` those whose claims the transaction changes afterwards: all at once, by their ids.
    """
    concerned = await _concerned(tx, outcomes)
    if not concerned:
        return []
    locked = await tx.execute(_LOCK, {"ids": list(concerned | set(also))})
    before = {row.id: Standing(*row) for row in locked if row.id in concerned}
    seen = await _seen_before(tx, outcomes)
    result = await tx.execute(_ASIDE, {"ids": list({one.cluster_id for one in before.values()})})
    now = await attempts.now(tx)
    counts = {row.cluster_id: (row.nodes, row.aside) for row in result}
    after = dict(before)
    for outcome in outcomes:
        if (standing := after.get(outcome.node_id)) is not None:
            nodes, aside = counts.get(standing.cluster_id, (0, 0))
            after[outcome.node_id] = changed = _follow(standing, outcome, seen, now, nodes, aside)
            shift = (changed.aside_until is not None) - (standing.aside_until is not None)
            counts[standing.cluster_id] = (nodes, aside + shift)
    changes = [(before[id_], standing) for id_, standing in after.items() if standing != before[id_]]
    return await _save(tx, changes)


def _follow(
    standing: Standing, outcome: Outcome, seen: set[tuple[UUID, str]], now: datetime, nodes: int, aside: int
) -> Standing:
    failure = outcome.failure
    if failure is None:
        return setting_aside.after_success(standing)
    return setting_aside.after_failure(
        standing,
        failure.reason,
        now,
        counts=(failure.container_id, failure.node) not in seen,
        may=setting_aside.may_set_aside(nodes, aside),
    )


async def _concerned(tx: AsyncConnection, outcomes: Sequence[Outcome]) -> set[UUID]:
    """The nodes whose standing may change. Successes on nodes without a blemish, the usual case, change nothing."""
    failed = {one.node_id for one in outcomes if one.failure is not None}
    well = {one.node_id for one in outcomes} - failed
    if well:
        failed |= set((await tx.execute(_BLEMISHED, {"ids": list(well)})).scalars())
    return failed


async def _seen_before(tx: AsyncConnection, outcomes: Sequence[Outcome]) -> set[tuple[UUID, str]]:
    """The containers that failed on the same node a while ago already."""
    items = [
        {"container_id": one.failure.container_id, "generation": one.failure.generation, "node": one.failure.node}
        for one in outcomes
        if one.failure is not None
    ]
    if not items:
        return set()
    result = await tx.execute(_SEEN, {"recent": setting_aside.WINDOW, **bulk.parameters(_PLACE, items)})
    return {(row.container_id, row.node) for row in result}


async def _save(tx: AsyncConnection, changes: Sequence[tuple[Standing, Standing]]) -> list[Fact]:
    """Write the standings that changed, each given as it was and as it is; what there is to tell of it."""
    if not changes:
        return []
    items = [
        {
            "node_id": now.node_id,
            "failures": now.failures,
            "aside_until": now.aside_until,
            "aside_reason": now.aside_reason,
            "moved": before.aside_until != now.aside_until,
            "restored": before.aside_until is not None and now.aside_until is None,
        }
        for before, now in changes
    ]
    await tx.execute(_SAVE, bulk.parameters(_STANDING, items))
    return [fact for before, now in changes if (fact := _told(before, now, f"node:{now.hostname}")) is not None]


def _told(before: Standing, now: Standing, actor: str, trace_id: str = "") -> Fact | None:
    if before.aside_until == now.aside_until:
        return None
    if now.aside_until is None:
        kind, body = Kind.NODE_RESTORED, dict[str, Any](reason=before.aside_reason)
    else:
        until = now.aside_until.isoformat()
        kind, body = Kind.NODE_SET_ASIDE, {"reason": now.aside_reason, "failures": now.failures, "until": until}
    return Fact(
        kind,
        now.cluster_id,
        "node",
        now.node_id,
        now.hostname,
        actor,
        node=now.hostname,
        trace_id=trace_id,
        body=body,
    )


async def restore(tx: AsyncConnection, node_id: UUID, actor: str, trace_id: str) -> list[Fact]:
    """Forget what failed on a node, since somebody says that it is well; what there is to tell of it."""
    rows = await tx.execute(_LOCK, {"ids": [node_id]})
    changes = [(before, setting_aside.after_success(before)) for before in (Standing(*row) for row in rows)]
    await _save(tx, [(before, now) for before, now in changes if before != now])
    return [fact for before, now in changes if (fact := _told(before, now, actor, trace_id)) is not None]
