"""What a cluster was asked for since some moment, read from its event log and its rows, to be replayed."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.asking import Budget
from pathfinder.domain.errors import Invalid
from pathfinder.domain.lifecycle import ContainerType
from pathfinder.domain.messages import Kind
from pathfinder.domain.resources import Resources
from pathfinder.domain.rules import BudgetRule
from pathfinder.scheduling import asking
from pathfinder.scheduling.fleet import NodeState
from pathfinder.scheduling.relations import selectors
from pathfinder.scheduling.request import Ask, Gang
from pathfinder.scheduling.workload import Change, Item, Workload, emptied
from pathfinder.store import nodes
from pathfinder.store.resilience import ask_of

#: More containers than this are not replayed at once.
MOST_CONTAINERS = 50_000

_THERE = text("""
    SELECT id, type, image, cpu_millicores, memory_bytes, disk_bytes, spec, priority, labels, status_at,
           status IN ('DELETED', 'PROVISION_ERROR') AS gone
    FROM containers
    WHERE cluster_id = :cluster_id AND created_at < :since
      AND (status NOT IN ('DELETED', 'PROVISION_ERROR') OR status_at >= :since)
    ORDER BY created_at, id LIMIT :limit
""")
_CAME = text("""
    SELECT subject_id AS id, at, body, (SELECT spec -> 'gang' FROM containers WHERE id = subject_id) AS gang FROM events
    WHERE seq >= :first AND cluster_id = :cluster_id AND kind = 'container.requested' AND at >= :since
    ORDER BY seq LIMIT :limit
""")
_WENT = text("""
    SELECT subject_id AS id, max(at) AS at FROM events
    WHERE seq >= :first AND cluster_id = :cluster_id AND at >= :since
      AND (kind = 'container.deleted'
           OR kind = 'container.provision_failed' AND body ->> 'status' = 'PROVISION_ERROR')
    GROUP BY subject_id
""")
_NODES = text("""
    SELECT subject_name AS node, kind, at FROM events
    WHERE seq >= :first AND cluster_id = :cluster_id AND at >= :since AND kind = ANY(:kinds) ORDER BY seq
""")
_ENDS = text("SELECT COALESCE(min(seq), 0), COALESCE(max(seq), 0) FROM events")
_NEXT = text("SELECT at FROM events WHERE seq >= :seq ORDER BY seq LIMIT 1")
_JOINED = text("SELECT hostname, created_at FROM nodes WHERE cluster_id = :cluster_id AND created_at >= :since")

#: Numbers are given out in about the order of time: never more than this apart.
_SKEW = timedelta(minutes=10)

#: What a node's events say of it: whether it is READY, whether it takes placements.
_SAYS: Mapping[str, tuple[bool | None, bool | None]] = {
    Kind.NODE_READY: (True, None),
    Kind.NODE_DOWN: (False, None),
    Kind.NODE_CORDONED: (None, False),
    Kind.NODE_UNCORDONED: (None, True),
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A workload, from `since` to `until`. `forgotten` containers and nodes are left out: their sizes are not known."""

    workload: Workload
    since: datetime
    until: datetime
    came: int
    went: int
    forgotten: int


async def recorded(tx: AsyncConnection, cluster_id: UUID, cluster: str, since: datetime) -> Recorded:
    """What was recorded since then. Raises Invalid: nothing was, too much, or that moment is yet to come."""
    until = datetime.now(UTC)
    if since >= until:
        raise Invalid(f"{since.isoformat()} is in the future: there is nothing to replay yet.")
    states = await nodes.snapshot(tx, cluster_id)
    first = await _first(tx, since - _SKEW)
    given = {"cluster_id": cluster_id, "since": since, "first": first, "limit": MOST_CONTAINERS + 1}
    there = (await tx.execute(_THERE, given)).all()
    came = (await tx.execute(_CAME, given)).all()
    ends = {row.id: row.at for row in await tx.execute(_WENT, given)}
    if not states or not (there or came):
        what = "container was asked for" if states else "node is known"
        raise Invalid(f"Nothing to replay: no {what} in cluster {cluster!r} since {since.isoformat()}.")
    if len(there) > MOST_CONTAINERS:
        raise Invalid(
            f"More than {MOST_CONTAINERS} containers were there at {since.isoformat()} already, and no more are "
            "replayed at once. Only a span that begins when there were fewer can be replayed."
        )
    if len(there) + len(came) > MOST_CONTAINERS:
        raise Invalid(
            f"More than {MOST_CONTAINERS} containers were there or came since {since.isoformat()}. "
            "Replay a shorter span, like --since 1h."
        )

    def seconds(at: datetime) -> float:
        return (at - since).total_seconds()

    budgets = {row.id: _budget(row.spec) for row in there} | {row.id: _budget(row.body) for row in came}
    keys = _keys([*(ask_of(row) for row in there), *(_asked(row.body) for row in came)], budgets.values())
    items = [
        Item(
            str(row.id),
            ask_of(row, keys),
            -1.0,
            seconds(row.status_at) if row.gone else float("inf"),
            _gang(row.spec.get("gang")),
            budgets[row.id],
        )
        for row in there
    ] + [
        Item(
            str(row.id),
            _asked(row.body, keys),
            max(seconds(row.at), 1e-6),
            seconds(ends[row.id]) if row.id in ends else float("inf"),
            _gang(row.gang),
            budgets[row.id],
        )
        for row in came
    ]
    sizes = Counter(one.gang.id for one in items if one.gang)  # of those that are recorded, not of those that were
    items = [replace(one, gang=Gang(one.gang.id, sizes[one.gang.id])) if one.gang else one for one in items]
    then, changes, strangers = await _nodes(tx, states, since, {**given, "kinds": [*_SAYS, Kind.NODE_DELETED]})
    known = {UUID(one.id) for one in items}
    return Recorded(
        Workload(then, items, changes, seconds(until)),
        since,
        until,
        len(came),
        sum(one.ends < float("inf") for one in items),
        len(ends.keys() - known) + strangers,
    )


async def _first(tx: AsyncConnection, at: datetime) -> int:
    """The first event that was written then or later, by bisection: the log is for ever, and its index is `seq`."""
    low, high = (await tx.execute(_ENDS)).one()
    while low < high:
        middle = (low + high) // 2
        written = (await tx.execute(_NEXT, {"seq": middle})).scalar_one_or_none()
        if written is not None and written < at:
            low = middle + 1
        else:
            high = middle
    return int(low)


async def _nodes(
    tx: AsyncConnection, states: Sequence[NodeState], since: datetime, given: Mapping[str, Any]
) -> tuple[list[NodeState], list[Change], int]:
    """The nodes as they were at the start and empty, what changed of them, and how many are not known any more."""
    names = {one.hostname for one in states}
    changes, strangers = [], set()
    for row in await tx.execute(_NODES, given):
        if row.node not in names or row.kind == Kind.NODE_DELETED:
            strangers |= {row.node} - names
        else:
            changes.append(Change((row.at - since).total_seconds(), row.node, *_SAYS[row.kind]))
    joined = {row.hostname: row.created_at for row in await tx.execute(_JOINED, given)}
    before: dict[str, dict[str, bool]] = {}
    for change in changes:
        # Whoever goes DOWN was READY before, whoever is cordoned took placements.
        for name in ("ready", "schedulable"):
            if (value := getattr(change, name)) is not None:
                before.setdefault(change.node, {}).setdefault(name, not value)
    then = [replace(emptied(one), **before.get(one.hostname, {})) for one in states]  # type: ignore[arg-type]
    for index, node in enumerate(then):
        if node.hostname in joined:
            changes.append(Change((joined[node.hostname] - since).total_seconds(), node.hostname, ready=node.ready))
            then[index] = replace(node, ready=False)
    return then, sorted(changes, key=lambda one: one.at), len(strangers)


def _keys(asks: Sequence[Ask], budgets: Iterable[Budget | None]) -> Collection[str]:
    wanted = {one.of for one in budgets if one is not None}.union(*(selectors(one) for one in set(asks)))
    return {one.key for selector in wanted for one in selector.requirements}


def _budget(asked: Mapping[str, Any]) -> Budget | None:
    return BudgetRule(**asked["budget"]).value() if asked.get("budget") else None


def _gang(kept: Mapping[str, Any] | None) -> Gang | None:
    return Gang(kept["id"], kept["size"]) if kept else None


def _asked(body: Mapping[str, Any], keys: Collection[str] = ()) -> Ask:
    """What a container asked for, as its `container.requested` tells."""
    resources = Resources(body.get("cpu") or 0, body.get("memory") or 0, body.get("disk") or 0)
    type_ = ContainerType(body.get("type", ContainerType.STATELESS))
    return asking.ask(resources, type_, body["image"], body, body.get("priority", 0), body.get("labels", {}), keys)
