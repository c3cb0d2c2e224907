"""The decision itself: `place(fleet, requests, policy, seed)`.

Requests of equal asks are placed one after the other, so a kind is evaluated once for the whole fleet, and every
further container costs a few operations on one node. The result is what placing them one by one, each on the whole
fleet, gives in the order of `turns`.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pathfinder.domain.messages import Kind
from pathfinder.domain.policies import Ties
from pathfinder.scheduling import avoid
from pathfinder.scheduling.fleet import Counts, Fleet, Mask, amounts
from pathfinder.scheduling.ladder import Ladder, possible, scored, weighted
from pathfinder.scheduling.line import REMEMBERED, WISHES, Candidate, Line, Stand, Weights, candidate
from pathfinder.scheduling.plugins import Tried, without_failing
from pathfinder.scheduling.policy import Policy
from pathfinder.scheduling.relations import Relations, remember
from pathfinder.scheduling.request import Ask, Gang, Request
from pathfinder.scheduling.turns import in_line

#: What may let anything be placed: another node, other rules.
ALWAYS = frozenset({Kind.NODE_REGISTERED, Kind.CLUSTER_UPDATED, Kind.POLICY_APPLIED})

#: What explanations call the rule that gangs are whole, as if it were a filter.
GANG = "gang"


@dataclass(frozen=True, slots=True)
class Rejected:
    """How many nodes a filter turned down, and why. Each node counts for the first filter that rejected it."""

    filter: str
    nodes: int
    reason: str
    #: The kinds of event after which that may have changed.
    wakes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one request: row `index` of the fleet, the first of the `candidates`; or None with the reasons.

    `rejected` tells of the fleet as it was before the first request of this kind, or for one that cannot be placed, as
    it was then. What was seen of the best nodes is either told here, or by the `position` in a line of nodes that
    others of its kind share.
    """

    request: Request
    index: int | None
    rejected: tuple[Rejected, ...]
    seen: tuple[Candidate, ...] = ()
    line: Line | None = field(default=None, compare=False, repr=False)
    position: int = 0

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The best nodes, the chosen one first; nothing for one that cannot be placed."""
        return self.seen if self.line is None else self.line.candidates(self.position)

    @property
    def wakes(self) -> frozenset[str]:
        """The kinds of event after which a request that could not be placed is worth another try."""
        return ALWAYS.union(*(one.wakes for one in self.rejected))


def place(
    fleet: Fleet, requests: Sequence[Request], policy: Policy, seed: int, *, explain: bool = True
) -> list[Decision]:
    """Choose a node for each request; the decisions in the order of the requests.

    Pure: equal arguments give equal decisions. Never overfills a node. `seed` breaks ties. Without `explain` the
    decisions are the same, and have no reasons.
    """
    return decide(fleet, requests, policy, seed, explain=explain)[0]


def decide(
    fleet: Fleet, requests: Sequence[Request], policy: Policy, seed: int, *, explain: bool = True
) -> tuple[list[Decision], Tried]:
    """As `place`, and what it was decided by: the policy without the plugins that failed."""
    return without_failing(policy, lambda tried: _decided(fleet, requests, tried, seed, explain))


def _decided(fleet: Fleet, requests: Sequence[Request], policy: Policy, seed: int, explain: bool) -> list[Decision]:
    board = _Board(fleet, policy, seed, explain)
    found: dict[int, Decision] = {}
    for gang, kinds in in_line(requests, fleet):
        before = board.state() if gang else None
        part = [board.place(requests[kind[0]].ask, [requests[position] for position in kind]) for kind in kinds]
        decided = {
            position: one
            for kind, ones in zip(kinds, part, strict=True)
            for position, one in zip(kind, ones, strict=True)
        }
        if gang is not None and before is not None:
            missing = gang.size - sum(one.index is not None for one in decided.values())
            if missing > 0:
                board.back_to(before)
                decided = {position: _not_alone(one, gang, missing) for position, one in decided.items()}
        found |= decided
    return [found[position] for position in range(len(requests))]


def _not_alone(decision: Decision, gang: Gang, missing: int) -> Decision:
    if decision.index is None and decision.rejected:
        return decision
    why = Rejected(GANG, 0, f"{missing} of the {gang.size} that belong together have no place", frozenset(Kind))
    return Decision(decision.request, None, (why,), ())


_State = tuple[dict[str, NDArray[np.int64]], dict[object, Counts], dict[object, Counts]]


class _Board:
    """The fleet while containers are placed on it."""

    def __init__(self, fleet: Fleet, policy: Policy, seed: int, explain: bool) -> None:
        self._fleet = fleet.working(policy.overcommit)
        self._policy, self._explain = policy, explain
        self._weights = (*((scorer.name, weight) for scorer, weight in policy.scorers), (WISHES, policy.wishes))
        self._random = np.random.default_rng(seed)
        self._turn = self._random.permutation(len(fleet))

    def state(self) -> _State:
        """What `back_to` goes back to."""
        copies = [{key: one.copy() for key, one in kept.items()} for kept in (self._fleet.tallies, self._fleet.averse)]
        return self._fleet.changed(), copies[0], copies[1]  # type: ignore[return-value]

    def back_to(self, state: _State) -> None:
        """Undo everything since then."""
        columns, tallies, averse = state
        for name, column in columns.items():
            getattr(self._fleet, name)[:] = column
        for ours, before in ((self._fleet.tallies, tallies), (self._fleet.averse, averse)):
            for key, counts in ours.items():
                counts[:] = before.get(key, 0)

    def place(self, ask: Ask, requests: Sequence[Request]) -> list[Decision]:
        """Decide on requests of one ask, all that avoid nodes or all that do not."""
        mask = possible(self._fleet, ask, self._policy)
        picky = requests[0].avoid or self._policy.ties is Ties.RANDOM or Relations.any(self._fleet, ask)
        way = _OneByOne if picky else _AllAtOnce
        rejected = self._rejected(ask) if self._explain else ()
        line = way(self._fleet, ask, self._policy, mask, self._turn, self._random)
        picks = line.pick(requests)
        chosen = np.array([pick.index for pick in picks if pick.index is not None], dtype=np.intp)
        rows, counts = np.unique(chosen, return_counts=True)
        self._fleet.add(rows, amounts(ask.resources), ask.stateful, counts)
        remember(self._fleet, ask, chosen)
        if not self._explain:
            return [Decision(one, pick.index, (), ()) for one, pick in zip(requests, picks, strict=True)]
        # Whoever comes last finds the fleet as it is now: nothing was placed since the first that found no place.
        full = self._rejected(ask) if len(chosen) < len(requests) else ()
        told = line.told(self._weights) if isinstance(line, _AllAtOnce) else None
        return [
            self._decision(one, pick, rejected, full, told, position)
            for position, (one, pick) in enumerate(zip(requests, picks, strict=True))
        ]

    def _decision(
        self,
        request: Request,
        pick: "_Pick",
        rejected: tuple[Rejected, ...],
        full: tuple[Rejected, ...],
        line: Line | None,
        position: int,
    ) -> Decision:
        if pick.index is None:
            return Decision(request, None, full)
        if line is not None:
            return Decision(request, pick.index, rejected, (), line, position)
        if pick.shunned:
            rejected = (*rejected, Rejected(avoid.NAME, pick.shunned, avoid.REASON))
        hosts = self._fleet.hostnames
        seen = (candidate(self._weights, str(hosts[row]), turn, parts) for row, turn, parts in pick.seen)
        return Decision(request, pick.index, rejected, tuple(seen))

    def _rejected(self, ask: Ask) -> tuple[Rejected, ...]:
        """Each node by the first filter, or then rule, that rejects it."""
        left = np.ones(len(self._fleet), dtype=np.bool_)
        rejections = []
        for rule in self._policy.filters:
            rejected: Mask = left & ~rule.mask(self._fleet, ask)
            if rejected.any():
                reason = rule.reason(self._fleet, ask, rejected)
                rejections.append(Rejected(rule.name, int(rejected.sum()), reason, rule.wakes))
                left &= ~rejected
        for relation in Relations(self._fleet, ask, self._policy).rules:
            rejected = left & ~relation.mask()
            if rejected.any():
                rejections.append(Rejected(relation.name, int(rejected.sum()), relation.reason(), relation.wakes))
                left &= ~rejected
        return tuple(rejections)


@dataclass(frozen=True, slots=True)
class _Pick:
    """The row that was chosen, and what was seen of it and the next best: row, turn and what each scorer gave.

    `shunned` nodes were possible, but the request had failed there.
    """

    index: int | None = None
    seen: tuple[tuple[int, int, Sequence[float]], ...] = ()
    shunned: int = 0


_NOWHERE = _Pick()


class _AllAtOnce:
    """Requests for which only the nodes themselves matter: a queue of nodes, the best first."""

    def __init__(
        self, fleet: Fleet, ask: Ask, policy: Policy, mask: Mask, turn: NDArray[np.intp], _: np.random.Generator
    ) -> None:
        self._fleet, self._ask, self._policy, self._mask, self._turn = fleet, ask, policy, mask, turn
        self._seen: tuple[Ladder, list[int], list[int], list[int]] | None = None

    def pick(self, requests: Sequence[Request]) -> list[_Pick]:
        """One after the other."""
        rows = self._best(len(requests) + REMEMBERED - 1)
        if not len(rows):
            return [_NOWHERE] * len(requests)
        ladder = Ladder(self._fleet, rows, self._ask, self._policy, min(2 * len(requests) // len(rows) + 1, 16))
        indices, turns = rows.tolist(), self._turn[rows].tolist()
        queue = [(-ladder.score(one, 0), turns[one], one, 0) for one in range(len(rows))]
        heapq.heapify(queue)
        picks, taken = [], [0] * len(rows)
        for _ in requests:
            if not queue:
                picks.append(_NOWHERE)
                continue
            _, turn, one, rung = queue[0]
            picks.append(_Pick(indices[one]))
            taken[one] = rung + 1
            if (score := ladder.score(one, rung + 1)) > -np.inf:
                heapq.heapreplace(queue, (-score, turn, one, rung + 1))
            else:
                heapq.heappop(queue)
        self._seen = ladder, indices, turns, taken
        return picks

    def told(self, weights: Weights) -> Line | None:
        """The nodes that took something, and the best of the others: all that anybody saw among the best."""
        if self._seen is None:
            return None
        ladder, indices, turns, taken = self._seen
        others = heapq.nsmallest(
            REMEMBERED - 1,
            (one for one in range(len(indices)) if not taken[one]),
            key=lambda one: (-ladder.score(one, 0), turns[one]),
        )
        shown = [one for one in range(len(indices)) if taken[one]] + others
        hosts = self._fleet.hostnames
        return Line(
            weights, [Stand(str(hosts[indices[one]]), turns[one], ladder.rungs(one, taken[one] + 1)) for one in shown]
        )

    def _best(self, count: int) -> NDArray[np.intp]:
        """The best `count` rows. No other can be chosen: of these, one that nobody took yet is always as good."""
        rows = np.flatnonzero(self._mask)
        if len(rows) <= count:
            return rows
        scores = weighted(scored(self._fleet, self._ask, self._policy), self._policy)[rows]
        least = -np.partition(-scores, count - 1)[count - 1]
        better, equal = rows[scores > least], rows[scores == least]
        return np.concatenate([better, equal[np.argsort(self._turn[equal])][: count - len(better)]])


class _OneByOne:
    """Requests for which it matters what else is where, or where they failed: all nodes are looked at for each."""

    def __init__(
        self, fleet: Fleet, ask: Ask, policy: Policy, mask: Mask, turn: NDArray[np.intp], random: np.random.Generator
    ) -> None:
        self._fleet, self._policy, self._mask, self._turn, self._random = fleet, policy, mask.copy(), turn, random
        self._relations = Relations(fleet, ask, policy)
        self._parts = scored(fleet, ask, policy)
        self._scores = weighted(self._parts, policy)
        self._ask = ask
        self._ladders: dict[int, tuple[Ladder, int]] = {}

    def pick(self, requests: Sequence[Request]) -> list[_Pick]:
        """One after the other."""
        picks = []
        for request in requests:
            pick = self._pick(request)
            picks.append(pick)
            if pick.index is not None:
                self._relations.placed(pick.index)
                self._climb(pick.index)
        return picks

    def _pick(self, request: Request) -> _Pick:
        allowed = self._relations.mask()
        allowed = self._mask if allowed is None else self._mask & allowed
        shunned = avoid.avoided(self._fleet, request, allowed)
        if shunned is not None:
            allowed = allowed & ~shunned
        wishes = self._relations.score()
        scores = self._scores if wishes is None else self._scores + self._policy.wishes * wishes
        scores = np.where(allowed, scores, -np.inf)
        best = scores.max(initial=-np.inf)
        if best == -np.inf:
            return _NOWHERE
        equal = np.flatnonzero(scores == best)
        turn = self._random.permutation(len(scores)) if self._policy.ties is Ties.RANDOM else self._turn
        index = int(equal[np.argmin(turn[equal])])
        seen = [(index, int(turn[index]), self._told(index, wishes))]
        scores[index] = -np.inf
        for _ in range(REMEMBERED - 1):
            other = int(scores.argmax())
            if scores[other] > -np.inf:
                seen.append((other, int(turn[other]), self._told(other, wishes)))
                scores[other] = -np.inf
        return _Pick(index, tuple(seen), 0 if shunned is None else int(shunned.sum()))

    def _told(self, index: int, wishes: "np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None") -> list[float]:
        parts: list[float] = self._parts[:, index].tolist()
        return parts if wishes is None else [*parts, float(wishes[index])]

    def _climb(self, index: int) -> None:
        """The next rung of a row that got a container."""
        if index not in self._ladders:
            self._ladders[index] = Ladder(self._fleet, np.array([index]), self._ask, self._policy, 2), 0
        ladder, rung = self._ladders[index]
        self._ladders[index] = ladder, rung + 1
        self._scores[index] = ladder.score(0, rung + 1)
        self._mask[index] = self._scores[index] > -np.inf
        self._parts[:, index] = ladder.parts(0, rung + 1) if self._mask[index] else 0.0
