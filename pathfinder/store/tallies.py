"""Who is where: how many containers match a selector on each node, and how many there want nothing like it near them.

Counts are kept from batch to batch, and made again only for nodes that changed: any change of who is on a node moves
its generation or adds a departure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.asking import NODE
from pathfinder.domain.containers import Container
from pathfinder.domain.lifecycle import CLAIMING
from pathfinder.domain.selectors import Selector
from pathfinder.scheduling import asking
from pathfinder.scheduling.fleet import NodeState
from pathfinder.scheduling.relations import selectors
from pathfinder.scheduling.request import Ask

Counts = NDArray[np.int64]
#: The values of the labels in play, in the order of their keys, and the rules of who has some to be apart (in JSON).
Kind = tuple[tuple[str | None, ...], str | None]

_STATUSES = sorted(CLAIMING)
_LOCK = "SELECT pg_advisory_xact_lock{}(hashtextextended('pathfinder.company ' || :cluster_id, 0))"
_ALONE, _AMONG_OTHERS = text(_LOCK.format("")), text(_LOCK.format("_shared"))
_AVERSE = text("""
    SELECT EXISTS (SELECT FROM containers WHERE cluster_id = :cluster_id AND averse AND node_id IS NOT NULL)
""")
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
    """Counts of each kind for each node, the nodes in the order of `ids`, and what each node was like then."""

    keys: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    versions: list[Any] = field(default_factory=list)
    kinds: dict[Kind, Counts] = field(default_factory=dict)

    def copy(self) -> "_Counted":
        kinds = {kind: counts.copy() for kind, counts in self.kinds.items() if counts.any()}
        return _Counted(self.keys, self.ids, list(self.versions), kinds)


class Tallies:
    """What one process knows of who is where, for each cluster."""

    def __init__(self) -> None:
        self._known: dict[UUID, _Counted] = {}

    async def of(
        self, tx: AsyncConnection, cluster_id: UUID, states: Sequence[NodeState], asks: Iterable[Ask], *, keep: bool
    ) -> Company:
        """The company in a fleet as far as it matters to these requests. `states` were read in the same transaction.

        Only before the transaction has placed anything may it be told to `keep` what it counts: it may not commit.
        """
        wanted = set().union(*(selectors(one) for one in asks))
        if not wanted and not (await tx.execute(_AVERSE, {"cluster_id": cluster_id})).scalar_one():
            return Company()
        counted = self._known.get(cluster_id, _Counted()).copy()  # others in this process may be counting, too
        keys = set(counted.keys) | _keys(wanted)
        while True:
            await _count(tx, cluster_id, counted, states, tuple(sorted(keys)))
            averse = {rule for _, rules in counted.kinds if rules for rule in asking.aversions(rules)}
            if (more := keys | _keys(selector for selector, _ in averse)) == keys:
                break
            keys = more  # somebody there chooses by a label that nobody chose by before
        if keep:
            self._known[cluster_id] = counted
        return _company(counted, wanted, averse)

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


async def _count(
    tx: AsyncConnection, cluster_id: UUID, counted: _Counted, states: Sequence[NodeState], keys: tuple[str, ...]
) -> None:
    """Bring the counts up to these states."""
    departures = {
        row.node_id: (row.departures, row.last) for row in await tx.execute(_DEPARTURES, {"cluster_id": cluster_id})
    }
    ids = tuple(one.id for one in states)
    versions = [(one.generation, departures.get(UUID(one.id))) for one in states]
    if (counted.keys, counted.ids) != (keys, ids):
        counted.keys, counted.ids, counted.versions, counted.kinds = keys, ids, [None] * len(ids), {}
    changed = [row for row, version in enumerate(versions) if version != counted.versions[row]]
    if not changed:
        return
    for counts in counted.kinds.values():
        counts[changed] = 0
    row_of = {UUID(ids[row]): row for row in changed}
    result = await tx.execute(_COUNT, {"keys": list(keys), "nodes": list(row_of), "statuses": _STATUSES})
    for found in result:
        kind = tuple(found.labels), found.rules
        if kind not in counted.kinds:
            counted.kinds[kind] = np.zeros(len(ids), dtype=np.int64)
        counted.kinds[kind][row_of[found.node_id]] = found.containers
    counted.versions = versions


def _company(counted: _Counted, wanted: Iterable[Selector], averse: Iterable[tuple[Selector, str]]) -> Company:
    nothing = np.zeros(len(counted.ids), dtype=np.int64)
    company = Company(
        {one: nothing.copy() for one in wanted}, {rule: nothing.copy() for rule in averse}, frozenset(counted.keys)
    )
    for (values, rules), counts in counted.kinds.items():
        labels = {key: value for key, value in zip(counted.keys, values, strict=True) if value is not None}
        for selector, tally in company.tallies.items():
            if selector.matches(labels):
                tally += counts
        for rule in asking.aversions(rules) if rules else ():
            company.averse[rule] += counts
    return company


def _keys(selectors_: Iterable[Selector]) -> set[str]:
    return {one.key for selector in selectors_ for one in selector.requirements}
