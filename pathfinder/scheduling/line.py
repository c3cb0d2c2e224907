"""What was seen of the best nodes when a container was placed: candidates, and nodes that stand in line for many."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

#: How many of the best nodes a decision tells of.
REMEMBERED = 3

#: What the wishes about company are called beside the scorers.
WISHES = "wishes"

Weights = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that was possible: its score, what each scorer gave it, and its turn among equals: the lowest is taken."""

    node: str
    score: float
    scores: dict[str, float]
    turn: int


@dataclass(frozen=True, slots=True)
class Stand:
    """A node in line: what each scorer gave it for its first container, for its second, … as long as it could take
    one.
    """

    node: str
    turn: int
    rungs: Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Line:
    """Nodes in line for containers of one ask. The best takes the next one, and stands in line again with its next
    rung: so a line tells of every one of many decisions, and each can be made again from it.
    """

    weights: Weights
    stands: Sequence[Stand]

    def candidates(self, position: int) -> tuple[Candidate, ...]:
        """The best nodes for the container number `position`, from 0; the first of them took it."""
        queue = [(-total(self.weights, one.rungs[0]), one.turn, i, 0) for i, one in enumerate(self.stands)]
        heapq.heapify(queue)
        for _ in range(position):
            _, turn, i, rung = queue[0]
            rungs = self.stands[i].rungs
            if rung + 1 < len(rungs):
                heapq.heapreplace(queue, (-total(self.weights, rungs[rung + 1]), turn, i, rung + 1))
            else:
                heapq.heappop(queue)
        return tuple(
            candidate(self.weights, self.stands[i].node, turn, self.stands[i].rungs[rung])
            for _, turn, i, rung in heapq.nsmallest(REMEMBERED, queue)
        )


def candidate(weights: Weights, node: str, turn: int, parts: Sequence[float]) -> Candidate:
    """A candidate of what each scorer, and then the wishes, gave."""
    names = [name for name, _ in weights]
    return Candidate(node, total(weights, parts), dict(zip(names, parts, strict=False)), turn)


def total(weights: Weights, parts: Sequence[float]) -> float:
    """The weighted sum, added up one after the other as `ladder.weighted` does: the same to the last digit."""
    score = 0.0
    for (_, weight), part in zip(weights, parts, strict=False):
        score += weight * part
    return score
