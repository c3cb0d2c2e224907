"""What a cluster was asked for in a span of time, as it is replayed: plain values, in seconds since its start."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pathfinder.domain.asking import Budget
from pathfinder.domain.resources import Resources
from pathfinder.domain.selectors import Selector
from pathfinder.scheduling.fleet import UNLIMITED, NodeState, amounts
from pathfinder.scheduling.request import Ask, Gang


@dataclass(frozen=True, slots=True)
class Item:
    """A container that was asked for. It was there at the start already if it `arrives` before 0; it stays where it
    never `ends` (infinity). Its `budget` binds all of a group.
    """

    id: str
    ask: Ask
    arrives: float
    ends: float = float("inf")
    gang: Gang | None = None
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A node that goes DOWN or comes back, is cordoned or uncordoned; None: as it was."""

    at: float
    node: str
    ready: bool | None = None
    schedulable: bool | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """`nodes` are as they were at the start, empty; those that came later are not ready yet."""

    nodes: Sequence[NodeState]
    items: Sequence[Item]
    changes: Sequence[Change]
    seconds: float

    def budgets(self) -> dict[Selector, int]:
        """How many of each group may be away at once: of several budgets for one group, by the strictest."""
        most: dict[Selector, int] = {}
        for one in {item.budget for item in self.items if item.budget is not None}:
            most[one.of] = min(one.max_unavailable, most.get(one.of, one.max_unavailable))
        return dict(sorted(most.items()))

    def peak(self) -> tuple[float, list[Item]]:
        """When most was asked for at once, and what: by the greater of the shares of all cpu and of all memory."""
        total = np.maximum(sum((amounts(one.capacity) for one in self.nodes), start=np.zeros(3)), 1)
        steps: dict[float, NDArray[np.float64]] = {}
        for one in self.items:
            share = amounts(one.ask.resources) / total
            start = max(one.arrives, 0.0)
            steps[start] = steps.get(start, np.zeros(3)) + share
            if one.ends <= self.seconds:
                steps[one.ends] = steps.get(one.ends, np.zeros(3)) - share
        best, most, now = 0.0, -1.0, np.zeros(3)
        for at in sorted(steps):
            now = now + steps[at]
            if float(now[:2].max()) > most + 1e-12:
                best, most = at, float(now[:2].max())
        return best, [one for one in self.items if max(one.arrives, 0.0) <= best < one.ends]


def emptied(node: NodeState) -> NodeState:
    """The node with nothing on it, in nobody's bad books."""
    unknown = float("nan")
    return replace(
        node,
        claimed=Resources(),
        containers=0,
        stateful=0,
        slots=UNLIMITED,
        aside=None,
        cpu_used=unknown,
        memory_used=unknown,
    )
