"""A recorded workload run through a policy: `replay(workload, policy)`, a simulation of nothing but placement.

Containers come, and go when they went; nodes die and come back when they did. Whatever has no place waits, and is tried
again whenever something changes; where the policy lets others give way, they do so at once. What a policy is worth is
then measured, and by `compaction` how few nodes it needs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from pathfinder.domain.selectors import Selector
from pathfinder.scheduling.compaction import TRIALS, Needed, nodes_needed
from pathfinder.scheduling.fleet import CPU, MEMORY, Fleet, amounts
from pathfinder.scheduling.place import place
from pathfinder.scheduling.policy import Policy
from pathfinder.scheduling.preempt import MOST_WAITING, Tenant, preempt
from pathfinder.scheduling.relations import remember, selectors
from pathfinder.scheduling.request import Request
from pathfinder.scheduling.turns import order
from pathfinder.scheduling.workload import Change, Item, Workload

#: Containers that came within so many seconds of each other are placed as one batch.
BATCH_SECONDS = 1.0

#: How many moments of the span are told of.
MOMENTS = 200

#: What is measured at each moment: shares of what the nodes that are READY have, or counts.
SERIES = ("cpu", "memory", "nodes_used", "imbalance", "stranded_cpu", "stranded_memory", "waiting")


@dataclass(frozen=True, slots=True)
class Result:
    """How a policy did. `at` are moments in seconds, `series` the columns of `SERIES` at them, `means` over the span.

    `pending` are the seconds that containers which came within the span waited, each all in all, also those that
    `never` found a place, or another one.
    `decision_seconds` is the time of the engine for one container.
    """

    policy: str
    version: int
    needed: Needed
    at: tuple[float, ...]
    series: dict[str, tuple[float, ...]]
    means: dict[str, float]
    pending: tuple[float, ...]
    containers: int
    never: int
    decision_seconds: float

    def pending_quantile(self, share: float) -> float:
        """So many seconds or less waited this share of the containers."""
        return float(np.quantile(self.pending, share)) if self.pending else 0.0


def replay(
    workload: Workload, policy: Policy, seed: int, trials: int = TRIALS, clock: Callable[[], float] = perf_counter
) -> Result:
    """The workload through one policy. The same for the same arguments, but for the time that decisions took."""
    run = _Run(workload, policy, seed, clock)
    for at, kind, group in _steps(workload):
        run.step(at, kind, group)
    run.end()
    series, means = run.measured()
    return Result(
        policy=policy.name,
        version=policy.version,
        needed=nodes_needed(workload, policy, seed, trials),
        at=tuple(run.grid.tolist()),
        series=series,
        means=means,
        pending=tuple(run.pending.values()),
        containers=len(workload.items),
        never=run.never,
        decision_seconds=run.deciding / max(run.decided, 1),
    )


_GONE, _CHANGED, _CAME = range(3)
_Step = tuple[float, int, Item | Change]


def _steps(workload: Workload) -> Iterator[tuple[float, int, list[Item | Change]]]:
    """What happens, in order. What is of a kind, and nothing else between, happens together within `BATCH_SECONDS`."""
    items = [one for one in workload.items if one.ends > max(one.arrives, 0.0)]
    steps: list[_Step] = [(max(one.arrives, 0.0), _CAME, one) for one in items]
    steps += [(one.ends, _GONE, one) for one in items if one.ends <= workload.seconds]
    steps += [(one.at, _CHANGED, one) for one in workload.changes]
    steps.sort(key=lambda step: step[:2])
    for kind, same in groupby(steps, key=lambda step: step[1]):
        batch: list[_Step] = []
        for step in same:
            if batch and step[0] - batch[0][0] > BATCH_SECONDS:
                yield batch[-1][0], kind, [one for *_, one in batch]
                batch = []
            batch.append(step)
        yield batch[-1][0], kind, [one for *_, one in batch]


@dataclass(slots=True)
class _Run:
    workload: Workload
    policy: Policy
    seed: int
    clock: Callable[[], float]
    fleet: Fleet = field(init=False)
    grid: NDArray[np.float64] = field(init=False)
    #: Where each container is; and since when each waits.
    there: dict[str, tuple[Item, int]] = field(default_factory=dict)
    waiting: dict[str, tuple[Item, float]] = field(default_factory=dict)
    #: How long each waited that came within the span.
    pending: dict[str, float] = field(default_factory=dict)
    never: int = 0
    decided: int = 0
    deciding: float = 0.0
    _samples: list[tuple[float, tuple[float, ...]]] = field(default_factory=list)
    _placed: set[str] = field(default_factory=set)
    #: Those of the waiting for whom there was no place.
    _tried: set[str] = field(default_factory=set)
    _usual: NDArray[np.float64] = field(init=False)
    _budgets: dict[Selector, int] = field(init=False)

    def __post_init__(self) -> None:
        nodes, items = self.workload.nodes, self.workload.items
        wanted = set().union(*(selectors(ask) for ask in {one.ask for one in items}))
        nothing = {one: np.zeros(len(nodes), dtype=np.int64) for one in wanted}
        self.fleet = Fleet.of(nodes, nothing, {}).working(self.policy.overcommit)
        self._budgets = self.workload.budgets()
        self.grid = np.linspace(0.0, self.workload.seconds, MOMENTS)
        sizes = np.array([amounts(one.ask.resources) for one in items], dtype=np.float64).reshape(-1, 3)
        self._usual = np.array([np.median(column[column > 0]) if (column > 0).any() else 0.0 for column in sizes.T])

    def step(self, at: float, kind: int, group: Sequence[Item | Change]) -> None:
        """Some that went, some nodes that changed, or some that came."""
        for one in group:
            if isinstance(one, Change):
                self._change(one)
            elif kind == _CAME:
                self.waiting[one.id] = one, max(one.arrives, 0.0)
            else:
                self._gone(one)
        if self.waiting:
            self._place(at, [one for one in group if isinstance(one, Item)] if kind == _CAME else None)
        if kind == _CAME and any(one.gang or one.ask.affinities for one, _ in self.waiting.values()):
            self._place(at, None)  # the company that somebody waits for may be there now
        self._samples.append((at, self._sample()))

    def end(self) -> None:
        """Whatever waits now waited to the end."""
        for item, since in self.waiting.values():
            self._waited(item, self.workload.seconds - since)
            self.never += 1

    def _gone(self, item: Item) -> None:
        if item.id in self.waiting:
            _, since = self.waiting.pop(item.id)
            self._waited(item, item.ends - since)
            self.never += 1
        elif item.id in self.there:
            self._leave(item)

    def _leave(self, item: Item) -> None:
        _, row = self.there.pop(item.id)
        self.fleet.add(row, amounts(item.ask.resources), item.ask.stateful, -1)
        remember(self.fleet, item.ask, np.array([row]), -1)

    def _change(self, change: Change) -> None:
        row = self.fleet.names.index_of[change.node]
        if change.schedulable is not None:
            self.fleet.schedulable[row] = change.schedulable
        if change.ready is not None:
            self.fleet.ready[row] = change.ready
        if change.ready is False:
            for item, where in list(self.there.values()):
                if where == row and not item.ask.stateful:
                    self._leave(item)
                    self.waiting[item.id] = item, change.at

    def _place(self, at: float, new: Sequence[Item] | None, *, makes_room: bool = True) -> None:
        """The new ones; or, after something changed that may help, all who wait. Then those for whom others go."""
        items = new if new is not None else [item for item, _ in self.waiting.values()]
        # Once placed, those of a gang are containers like any other.
        requests = [
            Request(one.id, one.ask, (), None if one.id in self._placed else one.gang, one.id in self._tried)
            for one in items
        ]
        before = self.clock()
        decisions = place(self.fleet, requests, self.policy, self.seed + len(self._samples), explain=False)
        self.deciding += self.clock() - before
        self.decided += len(requests)
        for item, decision in zip(items, decisions, strict=True):
            if decision.index is not None:
                _, since = self.waiting.pop(item.id)
                self._waited(item, max(at - since, 0.0) if new is None else 0.0)
                self.fleet.add(decision.index, amounts(item.ask.resources), item.ask.stateful)
                remember(self.fleet, item.ask, np.array([decision.index]))
                self.there[item.id] = item, decision.index
                self._placed.add(item.id)
        left = [one.request for one in decisions if one.index is None]
        self._tried = (self._tried | {one.id for one in left}) & self.waiting.keys()
        if makes_room and left and self.policy.preemption and self._evict(at, left):
            self._place(at, None, makes_room=False)

    def _evict(self, at: float, requests: Sequence[Request]) -> bool:
        """Have others go for the most urgent of these, as many as a scheduler looks at; whether somebody did."""
        line = [requests[position] for position in order(requests, self.fleet)]
        cut = {one.gang for one in line[MOST_WAITING:] if one.gang is not None}
        line = [one for one in line[:MOST_WAITING] if one.gang not in cut]
        below = max((one.ask.priority for one in line), default=0)
        lower = [Tenant(item.id, row, item.ask) for item, row in self.there.values() if item.ask.priority < below]
        if not lower:
            return False
        before = self.clock()
        evictions = preempt(self.fleet, lower, line, self.policy, budgets=self._left())
        self.deciding += self.clock() - before
        for victim in (one for eviction in evictions for one in eviction.victims):
            item, _ = self.there[victim.id]
            self._leave(item)
            self.waiting[item.id] = item, at
        return bool(evictions)

    def _left(self) -> dict[Selector, int]:
        """How many more of each group may be away: who waits is."""
        away = [item.ask.own_labels for item, _ in self.waiting.values()] if self._budgets else []
        return {of: most - sum(map(of.matches, away)) for of, most in self._budgets.items()}

    def _waited(self, item: Item, seconds: float) -> None:
        if item.arrives > 0.0:
            self.pending[item.id] = self.pending.get(item.id, 0.0) + seconds

    def _sample(self) -> tuple[float, ...]:
        ready = self.fleet.ready
        capacity = np.maximum(self.fleet.capacity[ready], 1).astype(np.float64)
        claimed = self.fleet.claimed[ready]
        if not len(capacity):
            return (*(0.0,) * (len(SERIES) - 1), float(len(self.waiting)))
        total = capacity.sum(axis=0)
        free = np.maximum(capacity - claimed, 0.0)
        # What is free of one, on nodes that have too little of the other for the container in the middle.
        no_memory, no_cpu = free[:, MEMORY] < self._usual[MEMORY], free[:, CPU] < self._usual[CPU]
        shares = (claimed / capacity)[:, :2].max(axis=1)
        return (
            float(claimed[:, CPU].sum() / total[CPU]),
            float(claimed[:, MEMORY].sum() / total[MEMORY]),
            float((self.fleet.containers[ready] > 0).sum()),
            float(shares.std()),
            float(free[no_memory, CPU].sum() / total[CPU]),
            float(free[no_cpu, MEMORY].sum() / total[MEMORY]),
            float(len(self.waiting)),
        )

    def measured(self) -> tuple[dict[str, tuple[float, ...]], dict[str, float]]:
        """The series at the moments of the grid, and their means over the span, each sample as long as it held."""
        if not self._samples:
            return dict.fromkeys(SERIES, (0.0,) * MOMENTS), dict.fromkeys(SERIES, 0.0)
        at = np.array([moment for moment, _ in self._samples])
        values = np.array([sample for _, sample in self._samples])
        held = np.diff(np.append(at, max(self.workload.seconds, at[-1])))
        weights = held if held.sum() > 0 else np.ones(len(held))
        rows = np.clip(np.searchsorted(at, self.grid, side="right") - 1, 0, None)
        series = {name: tuple(values[rows, column].tolist()) for column, name in enumerate(SERIES)}
        means = np.average(values, axis=0, weights=weights)
        return series, dict(zip(SERIES, means.tolist(), strict=True))
