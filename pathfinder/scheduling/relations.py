"""Company: which nodes a request may go to for what else is there, or in the same zone. It changes with each placement.

Unlike filters and scorers these rules compare nodes, so they keep counts for each domain of a topology. What is counted
comes with the fleet: `tallies` and `averse`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathfinder.domain.asking import Affinity, Spread
from pathfinder.domain.messages import Kind
from pathfinder.domain.selectors import Selector
from pathfinder.scheduling.fleet import Counts, Fleet, Mask, Scores
from pathfinder.scheduling.ladder import suitable
from pathfinder.scheduling.policy import Policy
from pathfinder.scheduling.request import Ask


@dataclass(slots=True)
class _Domains:
    """Counts for each domain of a topology. `of` is each node's domain, -1 for none; `grows` with each placement."""

    of: NDArray[np.intp]
    counts: NDArray[np.float64]
    grows: bool

    @classmethod
    def counting(cls, fleet: Fleet, over: str, counts: Counts | None, grows: bool) -> "_Domains":
        """The sums of a column, for each domain; None: nothing is there."""
        of, many = fleet.names.domains(over)
        of = of[fleet.row]
        known = of >= 0
        if counts is None:
            return cls(of, np.zeros(many), grows)
        return cls(of, np.bincount(of[known], weights=counts[known], minlength=many).astype(np.float64), grows)

    def placed(self, index: int) -> None:
        if self.grows and self.of[index] >= 0:
            self.counts[self.of[index]] += 1

    def at_nodes(self, values: NDArray[np.generic], elsewhere: float) -> NDArray[np.generic]:
        """A value of each domain, for each node of it; `elsewhere` for nodes in none."""
        if not len(values):
            return np.full(len(self.of), elsewhere)
        return np.where(self.of >= 0, values[self.of], elsewhere)


#: After these a container is no longer where it was.
_LEFT = frozenset(
    {
        Kind.CONTAINER_DELETED,
        Kind.CONTAINER_RESCHEDULED,
        Kind.CONTAINER_PREEMPTED,
        Kind.CONTAINER_PROVISION_FAILED,
    }
)

#: After these a domain may have no node any more that a container could go to: it does not have to be as full then.
_CLOSED = frozenset({Kind.NODE_CORDONED, Kind.NODE_DOWN, Kind.NODE_DELETED})


class _Together:
    """Where company is wanted."""

    name = "affinity"

    def __init__(self, domains: _Domains, rule: Affinity) -> None:
        self.domains, self._rule = domains, rule
        # Where its own kind has left, it is the first, which may go anywhere.
        self.wakes = frozenset({Kind.CONTAINER_SCHEDULED, Kind.NODE_UPDATED}) | (_LEFT if domains.grows else set())

    def mask(self) -> Mask:
        counts = self.domains.counts
        first = self.domains.grows and not counts.any()
        return self.domains.at_nodes((counts > 0) | first, False).astype(np.bool_)

    def score(self) -> Scores:
        return self.domains.at_nodes((self.domains.counts > 0).astype(np.float64), 0.0).astype(np.float64)

    def reason(self) -> str:
        return f"no container that matches {self._rule.to} is in its {self._rule.over}"


class _Apart:
    """Where company is not wanted, by the request or by those who are there."""

    name = "affinity"
    wakes = _LEFT | {Kind.NODE_UPDATED}

    def __init__(self, domains: _Domains, words: str) -> None:
        self.domains, self._words = domains, words

    def mask(self) -> Mask:
        return self.domains.at_nodes(self.domains.counts == 0, True).astype(np.bool_)

    def score(self) -> Scores:
        return self.domains.at_nodes(1.0 / (1.0 + self.domains.counts), 1.0).astype(np.float64)

    def reason(self) -> str:
        return self._words


class _Even:
    """An even share for each domain that has a node the request could go to."""

    name = "spread"
    wakes = _LEFT | _CLOSED | {Kind.CONTAINER_SCHEDULED, Kind.NODE_UPDATED}

    def __init__(self, fleet: Fleet, domains: _Domains, rule: Spread, suitable: Mask) -> None:
        self.domains, self._rule = domains, rule
        share = dict(rule.weights)
        values = fleet.names.label(rule.over)[1][1:] if share else []
        self._share = np.array([share.get(str(value), 1.0) for value in values] or [1.0] * len(domains.counts))
        self._eligible = np.zeros(len(domains.counts), dtype=np.bool_)
        self._eligible[domains.of[suitable & (domains.of >= 0)]] = True

    def _least(self, shares: NDArray[np.float64]) -> float:
        return float(shares[self._eligible].min()) if self._eligible.any() else 0.0

    def mask(self) -> Mask:
        shares = self.domains.counts / self._share
        after = shares + self.domains.grows / self._share
        # A share is a quotient of small numbers: what is meant to be equal may differ in the last digits.
        even = after - self._least(shares) <= self._rule.max_skew + 1e-9
        return self.domains.at_nodes(even, False).astype(np.bool_)

    def score(self) -> Scores:
        shares = self.domains.counts / self._share
        return self.domains.at_nodes(1.0 / (1.0 + np.maximum(shares - self._least(shares), 0)), 0.0).astype(np.float64)

    def reason(self) -> str:
        more = f"more than {self._rule.max_skew} above the emptiest" if self._rule.max_skew else "above the emptiest"
        return f"its {self._rule.over} would have {more} of what matches {self._rule.of}, or it has no such label"


Rule = _Together | _Apart | _Even


class Relations:
    """The rules and wishes about company of one ask, kept true while requests of that ask are placed.

    Only domains with a node that it might go to, were there room, count as ones that could have a fairer share.
    """

    def __init__(self, fleet: Fleet, ask: Ask, policy: Policy) -> None:
        self.rules: list[Rule] = []
        self._wishes: list[tuple[Rule, float]] = []
        for affinity in ask.affinities:
            domains = _matching(fleet, affinity.to, affinity.over, ask)
            words = f"a container that matches {affinity.to} is in its {affinity.over}"
            rule: Rule = _Apart(domains, words) if affinity.apart else _Together(domains, affinity)
            self._add(rule, affinity.required, affinity.weight)
        for spread in ask.spreads:
            domains = _matching(fleet, spread.of, spread.over, ask)
            self._add(_Even(fleet, domains, spread, suitable(fleet, ask, policy)), spread.required, spread.weight)
        for selector, over in _averse(fleet, ask):
            grows = any(one.to == selector and one.over == over for one in _apart(ask))
            domains = _Domains.counting(fleet, over, fleet.averse.get((selector, over)), grows)
            self._add(
                _Apart(domains, f"a container in its {over} wants nothing near it that matches {selector}"), True, 0
            )

    @classmethod
    def any(cls, fleet: Fleet, ask: Ask) -> bool:
        """Whether it matters to this ask what else is where."""
        return bool(ask.affinities or ask.spreads) or next(_averse(fleet, ask), None) is not None

    def _add(self, rule: Rule, required: bool, weight: float) -> None:
        if required:
            self.rules.append(rule)
        else:
            self._wishes.append((rule, weight))

    def mask(self) -> Mask | None:
        """The nodes that every rule allows now; None: all."""
        mask: Mask | None = None
        for rule in self.rules:
            mask = rule.mask() if mask is None else mask & rule.mask()
        return mask

    def score(self) -> Scores | None:
        """How well each node meets the wishes, from 0 to 1; None where there are none."""
        weights = sum(weight for _, weight in self._wishes)
        if not weights:
            return None
        scores: Scores = sum((weight * wish.score() for wish, weight in self._wishes), start=np.zeros(1)) / weights
        return scores

    def placed(self, index: int) -> None:
        """One more of the ask is on this row."""
        for rule in self.rules:
            rule.domains.placed(index)
        for wish, _ in self._wishes:
            wish.domains.placed(index)


def remember(fleet: Fleet, ask: Ask, indices: NDArray[np.intp], count: int = 1) -> None:
    """Count containers of this ask on these rows of a working fleet, a row as often as it got one; -1: it lost one."""
    labels = ask.own_labels
    for selector, counts in fleet.tallies.items():
        if selector.matches(labels):
            np.add.at(counts, indices, count)
    for affinity in _apart(ask):
        # `averse` of a working fleet is its own.
        counts = fleet.averse.setdefault((affinity.to, affinity.over), np.zeros(len(fleet), dtype=np.int64))  # type: ignore[attr-defined]
        np.add.at(counts, indices, count)


def selectors(ask: Ask) -> set[Selector]:
    """What must be tallied for this ask to be placed."""
    return {one.to for one in ask.affinities} | {one.of for one in ask.spreads}


def matters(ask: Ask, other: Ask) -> bool:
    """Whether it can matter to this ask where one of the other is."""
    return any(one.matches(other.own_labels) for one in selectors(ask)) or any(
        one.to.matches(ask.own_labels) for one in _apart(other)
    )


def _apart(ask: Ask) -> Iterator[Affinity]:
    return (one for one in ask.affinities if one.apart and one.required)


def _averse(fleet: Fleet, ask: Ask) -> Iterator[tuple[Selector, str]]:
    """What others want nothing of near them, and this is; and what this will be to others of its kind."""
    labels = ask.own_labels
    known = set(fleet.averse) | {(one.to, one.over) for one in _apart(ask)}
    return iter(sorted(key for key in known if key[0].matches(labels)))


def _matching(fleet: Fleet, selector: Selector, over: str, ask: Ask) -> _Domains:
    return _Domains.counting(fleet, over, fleet.tallies.get(selector), selector.matches(ask.own_labels))
