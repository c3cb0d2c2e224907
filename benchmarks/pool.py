"""Machines without a store: the engine places on them, and they remember."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.shapes import node_labels
from pathfinder.domain.resources import Resources
from pathfinder.domain.selectors import Selector
from pathfinder.scheduling.fleet import Counts, Fleet, NodeState, amounts
from pathfinder.scheduling.place import Decision, place
from pathfinder.scheduling.policy import Policy
from pathfinder.scheduling.request import Ask, Request


class Pool:
    """Equal machines in zones and racks. `tallies` and `averse` of the fleet are kept for what is `watched`."""

    def __init__(
        self,
        machines: int,
        size: Resources,
        watched: Sequence[Selector] = (),
        averse: Sequence[tuple[Selector, str]] = (),
    ) -> None:
        nothing = Resources(0, 0, 0)
        states = [
            NodeState(f"{n:08d}", f"node-{n:05d}", True, True, size, nothing, 0, 0, node_labels(n))
            for n in range(machines)
        ]
        self.fleet = Fleet.of(
            states,
            {selector: np.zeros(machines, dtype=np.int64) for selector in watched},
            {key: np.zeros(machines, dtype=np.int64) for key in averse},
        )
        self.decisions: list[Decision] = []

    def place(self, asks: Sequence[Ask], chosen: Policy, seed: int, *, explain: bool = False) -> bool:
        """Place these; whether all had room."""
        requests = [Request(str(number), ask) for number, ask in enumerate(asks)]
        self.decisions = place(self.fleet, requests, chosen, seed, explain=explain)
        rows: dict[Ask, list[int]] = {}
        for one in self.decisions:
            if one.index is not None:
                rows.setdefault(one.request.ask, []).append(one.index)
        for ask, where in rows.items():
            self._remember(ask, np.bincount(where, minlength=len(self.fleet)))
        return all(one.index is not None for one in self.decisions)

    def _remember(self, ask: Ask, more: Counts) -> None:
        self.fleet.claimed[:] += more[:, None] * amounts(ask.resources)
        self.fleet.containers[:] += more
        labels: Mapping[str, str] = ask.own_labels
        for selector, counts in self.fleet.tallies.items():
            if selector.matches(labels):
                counts[:] += more
        for key, counts in self.fleet.averse.items():
            if any(one.apart and one.required and (one.to, one.over) == key for one in ask.affinities):
                counts[:] += more
