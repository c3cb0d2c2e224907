"""How few nodes a workload needs under a policy: cell compaction.

The measure is Borg's (Verma et al., "Large-scale cluster management at Google with Borg", EuroSys 2015, section 5.1):
take nodes away at random until the workload no longer fits, packing it from scratch each time, in several trials, and
tell the 90th percentile of them. The workload is all that was there at its peak. What does not fit even on all nodes
is left out. Nodes are taken away in a random order; the last that is needed is searched for from what any policy would
need for the sum of what was asked for, in steps that double, and then by bisection.
"""

from dataclasses import dataclass, replace

import numpy as np

from pathfinder.scheduling.fleet import Fleet, NodeState, amounts
from pathfinder.scheduling.place import place
from pathfinder.scheduling.policy import Policy
from pathfinder.scheduling.relations import selectors
from pathfinder.scheduling.request import Request
from pathfinder.scheduling.workload import Workload

#: How often nodes are taken away in another order.
TRIALS = 11


@dataclass(frozen=True, slots=True)
class Needed:
    """How many nodes are needed, of how many there were: the 90th percentile of the trials, the least, and the most.

    `containers` fit on all nodes; `left_out` did not. `at` is the moment of the peak.
    """

    nodes: int
    least: int
    most: int
    of: int
    containers: int
    left_out: int
    at: float


def nodes_needed(workload: Workload, policy: Policy, seed: int, trials: int = TRIALS) -> Needed:
    """Nodes needed at the workload's peak. Equal arguments give equal answers."""
    at, items = workload.peak()
    nodes = [one for one in _at(workload, at) if one.ready and one.schedulable]
    requests = [Request(one.id, one.ask) for one in items]  # of a gang, some may be gone by then
    placed = place(_fleet(nodes, requests), requests, policy, seed, explain=False)
    fitting = [one.request for one in placed if one.index is not None]
    found = sorted(_trial(nodes, fitting, policy, seed + number) for number in range(trials))
    nodes_ = int(np.quantile(found, 0.9, method="higher")) if found else len(nodes)
    return Needed(
        nodes_, min(found, default=0), max(found, default=0), len(nodes), len(fitting), len(items) - len(fitting), at
    )


def _at(workload: Workload, at: float) -> list[NodeState]:
    """The nodes as they were then."""
    now = {one.hostname: one for one in workload.nodes}
    for change in sorted(workload.changes, key=lambda one: one.at):
        if change.at <= at:
            node = now[change.node]
            ready = node.ready if change.ready is None else change.ready
            schedulable = node.schedulable if change.schedulable is None else change.schedulable
            now[change.node] = replace(node, ready=ready, schedulable=schedulable)
    return list(now.values())


def _trial(nodes: list[NodeState], requests: list[Request], policy: Policy, seed: int) -> int:
    kept = [nodes[row] for row in np.random.default_rng(seed).permutation(len(nodes))]

    def fits(count: int) -> bool:
        decisions = place(_fleet(kept[:count], requests), requests, policy, seed, explain=False)
        return all(one.index is not None for one in decisions)

    too_few, step = _least(kept, requests, policy) - 1, 1
    enough = min(too_few + step, len(kept))
    while enough < len(kept) and not fits(enough):
        too_few, step = enough, 2 * step
        enough = min(too_few + step, len(kept))
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if fits(middle):
            enough = middle
        else:
            too_few = middle
    return enough


def _least(nodes: list[NodeState], requests: list[Request], policy: Policy) -> int:
    """How many of these nodes, from the first on, have the sum of what is asked for."""
    if not requests or not nodes:
        return 0
    asked = sum((amounts(one.ask.resources) for one in requests), start=np.zeros(3, dtype=np.int64))
    room = np.cumsum(_fleet(nodes, requests).working(policy.overcommit).room, axis=0)
    return min(int((room < asked).any(axis=1).sum()) + 1, len(nodes))


def _fleet(nodes: list[NodeState], requests: list[Request]) -> Fleet:
    wanted = set().union(*(selectors(ask) for ask in {one.ask for one in requests}))
    return Fleet.of(nodes, {one: np.zeros(len(nodes), dtype=np.int64) for one in wanted}, {})
