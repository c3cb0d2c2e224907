"""Who is where: how many containers match a selector on each node, and how many there want nothing like it near them.

Counts are kept from batch to batch, and made again only for nodes that changed: any change of who is on a node moves
its generation or adds a departure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.asking import NODE
from pathfinder.domain.containers import Container
from pathfinder.domain.lifecycle import CLAIMING
from pathfinder.domain.selectors import Index, Selector
from pathfinder.scheduling import asking
from pathfinder.scheduling.fleet import NodeState
from pathfinder.scheduling.relations import selectors
from pathfinder.scheduling.request import Ask
from pathfinder.store.states import AVERSE

Counts = NDArray[np.int64]
#: The values of the labels in play, in the order of their keys, and the rules of who has some to be apart (in JSON).
Kind = tuple[tuple[str | None, ...], str | None]

#: A label that nobody chose by for so many batches is not told apart any more: then everything is counted once anew.
UNUSED_BATCHES = 1000

_STATUSES = sorted(CLAIMING)
_LOCK = "SELECT pg_advisory_xact_lock{}(hashtextextended('pathfinder.company ' || :cluster_id, 0))"
_ALONE, _AMONG_OTHERS = text(_LOCK.format("")), text(_LOCK.format("_shared"))
_AVERSE = text(f"SELECT {AVERSE}")
_DEPARTURES = text("""
    SELECT d.node_id, count(*) AS departures, max(d.created_at) AS last
    FROM departures AS d JOIN nodes AS n ON n.id = d.node_id WHERE n.cluster_id = :cluster_id GROUP BY d.node_id
""")
_COUNT = text("""
    SELECT c.node_id, ARRAY(SELECT c.labels ->> k.key FROM unnest(CAST(:keys AS text[])) AS k(key)) AS labels,
           CASE WHEN c.averse THEN CAST(c.spec -> 'affinity' AS text) END AS rules, count(*) AS containers
    FROM containers AS c WHERE c.node_id = ANY(:nodes) AND c.status = ANY(:statuses) GROUP BY 1, 2, 3
""")


@dataclass(frozen=True, slots=True)
class Company:
    """What `Fleet.of` is told of who is where, and the keys of the labels that it was chosen by."""

    tallies: dict[Selector, Counts] = field(default_factory=dict)
    averse: dict[tuple[Selector, str], Counts] = field(default_factory=dict)
    keys: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Counted:
    """How many of each kind are on which row, the nodes in the order of `ids`, what each node was like then, and which
    kinds are `there`. What is kept of one kind or row is replaced, never changed: copies share it.

    `used` says for each label when somebody chose by it last, in batches counted by `batch`.
    """

    keys: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    versions: list[Any] = field(default_factory=list)
    kinds: dict[Kind, dict[int, int]] = field(default_factory=dict)
    there: list[tuple[Kind, ...]] = field(default_factory=list)
    used: dict[str, int] = field(default_factory=dict)
    batch: int = 0

    def next(self) -> "_Counted":
        """A copy for another batch, which forgets labels that nobody chooses by any more."""
        batch = self.batch + 1
        used = {key: last for key, last in self.used.items() if batch - last <= UNUSED_BATCHES}
        return replace(
            self, versions=list(self.versions), kinds=dict(self.kinds), there=list(self.there), used=used, batch=batch
        )

    def use(self, keys: Iterable[str]) -> bool:
        """Somebody chooses by these labels; whether by some that are not counted by."""
        self.used |= dict.fromkeys(keys, self.batch)
        return not self.used.keys() <= set(self.keys)


class Tallies:
    """What one process knows of who is where, for each cluster."""

    def __init__(self) -> None:
        self._known: dict[UUID, _Counted] = {}

    async def of(
        self,
        tx: AsyncConnection,
        cluster_id: UUID,
        states: Sequence[NodeState],
        asks: Iterable[Ask],
        *,
        keep: bool,
        labels: Iterable[Mapping[str, str]] | None = None,
        averse: bool | None = None,
    ) -> Company:
        """The company in a fleet as far as it matters to requests of these asks, by containers with these `labels`;
        None: with any. `states` were read in the same transaction; `averse`: whether anybody there wants some
        company kept away; None: it is asked.

        Only before the transaction has placed anything may it be told to `keep` what it counts: it may not commit.
        """
        wanted = set().union(*(selectors(one) for one in asks))
        if averse is None:
            averse = (await tx.execute(_AVERSE, {"cluster_id": cluster_id})).scalar_one()
        if not wanted and not averse:
            return Company()
        counted = self._known.get(cluster_id, _Counted()).next()  # others in this process may be counting, too
        counted.use(_keys(wanted))
        while True:
            await _count(tx, cluster_id, counted, states)
            disliked = {rule for _, rules in counted.kinds if rules for rule in asking.aversions(rules)}
            if not counted.use(_keys(selector for selector, _ in disliked)):
                break  # else somebody there chooses by a label that nobody chose by before
        if keep:
            self._known[cluster_id] = counted
        if labels is not None:
            known = Index((rule[0], rule) for rule in disliked)
            disliked = {rule for one in {id(it): it for it in labels}.values() for rule in known.matching(one)}
        return _company(counted, wanted, disliked)

    @staticmethod
    async def hold(tx: AsyncConnection, cluster_id: UUID, pending: Sequence[Container]) -> None:
        """Have others wait, until the transaction ends, who could break a rule over more than one node meanwhile.

        Nodes guard themselves by their generation, zones do not. Whoever has no such rule only waits for those who do.
        """
        keys = _keys(selector for ask in {asking.of(one) for one in pending} for selector in selectors(ask))
        wide = any(_wide(ask) for ask in {asking.of(one, keys) for one in pending})
        await tx.execute(_ALONE if wide else _AMONG_OTHERS, {"cluster_id": str(cluster_id)})


def _wide(ask: Ask) -> bool:
    """Whether it matters to a rule what else is placed on other nodes meanwhile: to those over more than a node, and
    to one to be together that lets the first of its kind go anywhere. There must be one first only.
    """
    topologies = {one.over for one in ask.affinities} | {one.over for one in ask.spreads}
    return bool(topologies - {NODE}) or any(
        rule.required and not rule.apart and rule.to.matches(ask.own_labels) for rule in ask.affinities
    )


async def _count(tx: AsyncConnection, cluster_id: UUID, counted: _Counted, states: Sequence[NodeState]) -> None:
    """Bring the counts up to these states and to the labels in use."""
    departures = {
        str(row.node_id): (row.departures, row.last)
        for row in await tx.execute(_DEPARTURES, {"cluster_id": cluster_id})
    }
    keys, ids = tuple(sorted(counted.used)), tuple(one.id for one in states)
    versions = [(one.generation, departures.get(one.id)) for one in states]
    if (counted.keys, counted.ids) != (keys, ids):
        counted.keys, counted.ids, counted.kinds = keys, ids, {}
        counted.versions, counted.there = [None] * len(ids), [()] * len(ids)
    changed = {row for row, version in enumerate(versions) if version != counted.versions[row]}
    if not changed:
        return
    row_of = {UUID(ids[row]): row for row in changed}
    fresh: dict[Kind, dict[int, int]] = {kind: {} for row in changed for kind in counted.there[row]}
    there: dict[int, list[Kind]] = {row: [] for row in changed}
    for found in await tx.execute(_COUNT, {"keys": list(keys), "nodes": list(row_of), "statuses": _STATUSES}):
        kind, row = (tuple(found.labels), found.rules), row_of[found.node_id]
        fresh.setdefault(kind, {})[row] = found.containers
        there[row].append(kind)
    for row, kinds in there.items():
        counted.there[row] = tuple(kinds)
    for kind, rows in fresh.items():
        kept = {row: many for row, many in counted.kinds.get(kind, {}).items() if row not in changed} | rows
        if kept:
            counted.kinds[kind] = kept
        else:
            counted.kinds.pop(kind, None)
    counted.versions = versions


def _company(counted: _Counted, wanted: Iterable[Selector], averse: Iterable[tuple[Selector, str]]) -> Company:
    tallies: dict[Selector, Counts] = {one: np.zeros(len(counted.ids), dtype=np.int64) for one in wanted}
    disliked: dict[tuple[Selector, str], Counts] = {one: np.zeros(len(counted.ids), dtype=np.int64) for one in averse}
    choosing = Index((one, one) for one in tallies)
    for (values, rules), of_row in counted.kinds.items():
        labels = {key: value for key, value in zip(counted.keys, values, strict=True) if value is not None}
        columns = [tallies[one] for one in choosing.matching(labels)]
        columns += [disliked[one] for one in (asking.aversions(rules) if rules else ()) if one in disliked]
        if columns:
            rows, counts = np.fromiter(of_row, np.intp), np.fromiter(of_row.values(), np.int64)
            for column in columns:
                column[rows] += counts
    return Company(tallies, disliked, frozenset(counted.keys))


def _keys(selectors_: Iterable[Selector]) -> set[str]:
    return {one.key for selector in selectors_ for one in selector.requirements}
