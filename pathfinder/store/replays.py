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
from pathfinder.store.resilience import ask_of
from pathfinder.store.states import snapshot

#: More containers than this are not replayed at once: of more, a sample is.
MOST_CONTAINERS = 50_000

# Ids end in random bits: these are as good as a die, and fall the same for every question.
_SAMPLED = "('x' || right({}::text, 8))::bit(32)::bigint < :below"
_EVERY = 1 << 32
_WAS_THERE = f"""
    FROM containers
    WHERE cluster_id = :cluster_id AND created_at < :since
      AND (status NOT IN ('DELETED', 'PROVISION_ERROR') OR status_at >= :since) AND {_SAMPLED.format("id")}
"""
_THERE = text(f"""
    SELECT id, type, image, cpu_millicores, memory_bytes, disk_bytes, spec, priority, labels, status_at,
           status IN ('DELETED', 'PROVISION_ERROR') AS gone
    {_WAS_THERE} ORDER BY created_at, id LIMIT :limit
""")
_CAME_THEN = f"""
    FROM events
    WHERE seq >= :first AND cluster_id = :cluster_id AND kind = 'container.requested' AND at >= :since
      AND {_SAMPLED.format("subject_id")}
"""
_CAME = text(f"""
    SELECT subject_id AS id, at, body, (SELECT spec -> 'gang' FROM containers WHERE id = subject_id) AS gang
    {_CAME_THEN} ORDER BY seq LIMIT :limit
""")  # noqa: S608
_MANY = text(f"SELECT (SELECT count(*) {_WAS_THERE}) + (SELECT count(*) {_CAME_THEN})")
_WENT = text(f"""
    SELECT subject_id AS id, max(at) AS at FROM events
    WHERE seq >= :first AND cluster_id = :cluster_id AND at >= :since AND {_SAMPLED.format("subject_id")}
      AND (kind = 'container.deleted'
           OR kind = 'container.provision_failed' AND body ->> 'status' = 'PROVISION_ERROR')
    GROUP BY subject_id
""")  # noqa: S608
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
    """A workload, from `since` to `until`. `forgotten` containers and nodes are left out: their sizes are not known.
    Below a `share` of 1 it is a sample: that part of the containers, on that part of the nodes; so are all counts.
    """

    workload: Workload
    since: datetime
    until: datetime
    came: int
    went: int
    forgotten: int
    share: float = 1.0


async def recorded(tx: AsyncConnection, cluster_id: UUID, cluster: str, since: datetime) -> Recorded:
    """What was recorded since then, or a sample where that is too much. Raises Invalid: nothing was, too much on too
    few nodes, or that moment is yet to come.
    """
    until = datetime.now(UTC)
    if since >= until:
        raise Invalid(f"{since.isoformat()} is in the future: there is nothing to replay yet.")
    states = every = await snapshot(tx, cluster_id)
    first = await _first(tx, since - _SKEW)
    given: dict[str, Any] = {"cluster_id": cluster_id, "since": since, "first": first}
    given |= {"below": _EVERY, "limit": MOST_CONTAINERS + 1}
    there = (await tx.execute(_THERE, given)).all()
    came = (await tx.execute(_CAME, given)).all()
    share = 1.0
    if len(there) + len(came) > MOST_CONTAINERS:
        states, share = _sample(states, (await tx.execute(_MANY, given)).scalar_one(), since)
        given |= {"below": int(share * _EVERY), "limit": None}
        there = (await tx.execute(_THERE, given)).all()
        came = (await tx.execute(_CAME, given)).all()
    ends = {row.id: row.at for row in await tx.execute(_WENT, given)}
    if not states or not (there or came):
        what = "container was asked for" if states else "node is known"
        raise Invalid(f"Nothing to replay: no {what} in cluster {cluster!r} since {since.isoformat()}.")

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
    given["kinds"] = [*_SAYS, Kind.NODE_DELETED]
    then, changes, strangers = await _nodes(tx, states, since, given, known={one.hostname for one in every})
    told = {UUID(one.id) for one in items}
    return Recorded(
        Workload(then, items, changes, seconds(until)),
        since,
        until,
        len(came),
        sum(one.ends < float("inf") for one in items),
        len(ends.keys() - told) + strangers,
        share,
    )


def _sample(states: Sequence[NodeState], containers: int, since: datetime) -> tuple[list[NodeState], float]:
    """Some of the nodes, and which share of all they are; so many containers would be too many. Raises Invalid.

    Every so-manieth of those that are alike, so that each kind and each zone has its share.
    """
    count = len(states) * MOST_CONTAINERS // containers
    if count == 0:
        raise Invalid(
            f"{containers} containers were there or came since {since.isoformat()}: too many to replay at once, and "
            f"too many for each of {len(states)} nodes to take a sample. Replay a shorter span, like --since 1h."
        )
    alike = sorted(states, key=lambda one: (*_amount(one.capacity), *sorted(_own(one)), one.hostname))
    chosen = [alike[(2 * number + 1) * len(states) // (2 * count)] for number in range(count)]
    return sorted(chosen, key=lambda one: one.hostname), count / len(states)


def _amount(resources: Resources) -> tuple[int, int, int]:
    return resources.cpu_millicores, resources.memory_bytes, resources.disk_bytes


def _own(node: NodeState) -> list[str]:
    return [f"{key}={value}" for key, value in node.labels.items() if key != "node.name"]


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
    tx: AsyncConnection, states: Sequence[NodeState], since: datetime, given: Mapping[str, Any], known: set[str]
) -> tuple[list[NodeState], list[Change], int]:
    """The nodes as they were at the start and empty, what changed of them, and how many are not `known` any more."""
    names = {one.hostname for one in states}
    changes, strangers = [], set()
    for row in await tx.execute(_NODES, given):
        if row.node not in names or row.kind == Kind.NODE_DELETED:
            strangers |= {row.node} - known
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
