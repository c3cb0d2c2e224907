"""What a policy thinks of nodes, and what it would think of them with more containers of the same ask."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathfinder.scheduling.fleet import Fleet, Mask, Scores, amounts
from pathfinder.scheduling.policy import Policy
from pathfinder.scheduling.request import Ask

#: How many more rungs are looked at when a node took all that were known.
RUNGS = 32


def possible(fleet: Fleet, ask: Ask, policy: Policy) -> Mask:
    """The nodes that every filter lets through."""
    mask = np.ones(len(fleet), dtype=np.bool_)
    for rule in policy.filters:
        mask &= rule.mask(fleet, ask)
    return mask


def suitable(fleet: Fleet, ask: Ask, policy: Policy) -> Mask:
    """The nodes that could take it if they were empty."""
    mask = np.ones(len(fleet), dtype=np.bool_)
    for rule in policy.filters:
        if rule.lasting:
            mask &= rule.mask(fleet, ask)
    return mask


def scored(fleet: Fleet, ask: Ask, policy: Policy) -> NDArray[np.float64]:
    """What each scorer gives each node: shape (scorers, n)."""
    parts = np.empty((len(policy.scorers), len(fleet)))
    for part, (scorer, _) in zip(parts, policy.scorers, strict=True):
        part[:] = scorer.score(fleet, ask)
    return parts


def weighted(parts: NDArray[np.float64], policy: Policy) -> Scores:
    """The weighted sums of `scored`: shape (n,). Added up one scorer after the other, so that it is the same for one
    row as for many.
    """
    total = np.zeros(parts.shape[1])
    for part, (_, weight) in zip(parts, policy.scorers, strict=True):
        total += weight * part
    return total


@dataclass(slots=True)
class _Rungs:
    totals: list[float]
    parts: list[list[float]]


class Ladder:
    """For each of some rows, its score for the first container of an ask, for the second … as if all before were there.

    The rungs are looked at many at a time, since NumPy costs about the same for one row as for hundreds.
    """

    def __init__(self, fleet: Fleet, rows: NDArray[np.intp], ask: Ask, policy: Policy, rungs: int = 1) -> None:
        self._fleet, self._rows, self._ask, self._policy = fleet, rows, ask, policy
        self._amounts = amounts(ask.resources)
        totals, parts = self._look(np.repeat(rows, rungs), np.tile(np.arange(rungs), len(rows)))
        each = parts.T.reshape(len(rows), rungs, len(policy.scorers)).tolist()
        self._known = [
            _Rungs(one, of_each) for one, of_each in zip(totals.reshape(len(rows), rungs).tolist(), each, strict=True)
        ]

    def score(self, row: int, rung: int) -> float:
        """The score of the `row`-th row for its container number `rung`, from 0; -inf where it cannot take it."""
        known = self._known[row].totals
        if rung == len(known):
            if known[-1] == -np.inf:
                return -np.inf
            self._extend(row)
        return known[rung]

    def parts(self, row: int, rung: int) -> list[float]:
        """What each scorer gave it."""
        return self._known[row].parts[rung]

    def rungs(self, row: int, count: int) -> list[list[float]]:
        """What each scorer gave the `row`-th row for its first containers: at most `count` rungs that were looked at,
        and only those on which it could take one.
        """
        known = self._known[row]
        rungs = min(count, len(known.totals))
        return known.parts[: rungs - 1 if known.totals[rungs - 1] == -np.inf else rungs]

    def _extend(self, row: int) -> None:
        known = self._known[row]
        rungs = np.arange(len(known.totals), len(known.totals) + RUNGS)
        totals, parts = self._look(np.full(RUNGS, self._rows[row]), rungs)
        known.totals += totals.tolist()
        known.parts += parts.T.tolist()

    def _look(self, rows: NDArray[np.intp], more: NDArray[np.intp]) -> tuple[Scores, NDArray[np.float64]]:
        part = self._fleet.rows(rows)
        part.claimed[:] += more[:, None] * self._amounts
        part.containers[:] += more
        part.stateful[:] += more * self._ask.stateful
        part.slots[:] -= more
        parts = scored(part, self._ask, self._policy)
        totals = weighted(parts, self._policy)
        return np.where(possible(part, self._ask, self._policy), totals, -np.inf), parts
