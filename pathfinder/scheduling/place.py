"""The decision itself: `place(fleet, requests, policy, seed)`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathfinder.scheduling import avoid
from pathfinder.scheduling.fleet import Fleet, Mask, Scores, amounts
from pathfinder.scheduling.policy import Policy
from pathfinder.scheduling.request import Request, Shape

#: How many of the best nodes a decision remembers, for explanations.
REMEMBERED = 3


@dataclass(frozen=True, slots=True)
class Rejected:
    """How many nodes a filter turned down, and why. Each node counts for the first filter that rejected it."""

    filter: str
    nodes: int
    reason: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that was possible: its weighted score, and what each scorer gave it."""

    node: str
    score: float
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one request: row `index` of the fleet, or None with the reasons."""

    request: Request
    index: int | None
    rejected: tuple[Rejected, ...]
    candidates: tuple[Candidate, ...]


@dataclass(slots=True)
class _Evaluation:
    """What is known about one shape: kept true row by row as containers are placed."""

    mask: Mask
    scores: Scores


def place(
    fleet: Fleet, requests: Sequence[Request], policy: Policy, seed: int, *, explain: bool = True
) -> list[Decision]:
    """Choose a node for each request, in order, each seeing the claims of those before it.

    Pure: equal arguments give equal decisions. Never overfills a node. `seed` breaks ties. Without `explain` the
    decisions are the same, and have no reasons.
    """
    working = fleet.working_copy()
    ties = np.random.default_rng(seed)
    known: dict[Shape, tuple[Request, _Evaluation]] = {}
    decisions = []
    for request in requests:
        if request.shape not in known:
            known[request.shape] = (request, _evaluate(working, request, policy))
        _, evaluation = known[request.shape]
        shunned = avoid.avoided(working, request, evaluation.mask)
        index = _best(evaluation, shunned, ties)
        if explain:
            decisions.append(_decide(working, request, policy, evaluation, shunned, index))
        else:
            decisions.append(Decision(request, index, (), ()))
        if index is not None:
            working.claimed[index] += amounts(request.resources)
            working.containers[index] += 1
            working.slots[index] -= 1
            _refresh(working, index, policy, known)
    return decisions


def _evaluate(fleet: Fleet, request: Request, policy: Policy) -> _Evaluation:
    mask = np.ones(len(fleet), dtype=np.bool_)
    for rule in policy.filters:
        mask &= rule.mask(fleet, request)
    scores = np.zeros(len(fleet))
    for scorer, weight in policy.scorers:
        scores += weight * scorer.score(fleet, request)
    return _Evaluation(mask, np.where(mask, scores, -np.inf))


def _refresh(fleet: Fleet, index: int, policy: Policy, known: dict[Shape, tuple[Request, _Evaluation]]) -> None:
    row = fleet.row(index)
    for request, evaluation in known.values():
        fresh = _evaluate(row, request, policy)
        evaluation.mask[index], evaluation.scores[index] = fresh.mask[0], fresh.scores[0]


def _best(evaluation: _Evaluation, shunned: Mask | None, ties: np.random.Generator) -> int | None:
    if not evaluation.mask.any():
        return None
    scores = evaluation.scores if shunned is None else np.where(shunned, -np.inf, evaluation.scores)
    best: NDArray[np.intp] = np.flatnonzero(scores == scores.max())
    return int(best[0] if len(best) == 1 else ties.choice(best))


def _decide(
    fleet: Fleet, request: Request, policy: Policy, evaluation: _Evaluation, shunned: Mask | None, index: int | None
) -> Decision:
    rejected = _rejections(fleet, request, policy) if not evaluation.mask.all() or not len(fleet) else []
    if shunned is not None:
        rejected.append(Rejected(avoid.NAME, int(shunned.sum()), avoid.REASON))
        evaluation = _Evaluation(evaluation.mask & ~shunned, np.where(shunned, -np.inf, evaluation.scores))
    return Decision(request, index, tuple(rejected), tuple(_candidates(fleet, request, policy, evaluation, index)))


def _rejections(fleet: Fleet, request: Request, policy: Policy) -> list[Rejected]:
    left = np.ones(len(fleet), dtype=np.bool_)
    rejections = []
    for rule in policy.filters:
        rejected: Mask = left & ~rule.mask(fleet, request)
        if rejected.any():
            rejections.append(Rejected(rule.name, int(rejected.sum()), rule.reason(fleet, request, rejected)))
            left &= ~rejected
    return rejections


def _candidates(
    fleet: Fleet, request: Request, policy: Policy, evaluation: _Evaluation, chosen: int | None
) -> list[Candidate]:
    if chosen is None:
        return []
    others = np.argsort(-evaluation.scores, kind="stable")[: REMEMBERED + 1]
    best = [chosen, *(int(i) for i in others if i != chosen and evaluation.mask[i])][:REMEMBERED]
    found = []
    for index in best:
        row = fleet.row(index)
        scores = {scorer.name: round(float(scorer.score(row, request)[0]), 4) for scorer, _ in policy.scorers}
        found.append(Candidate(str(fleet.hostnames[index]), round(float(evaluation.scores[index]), 4), scores))
    return found
