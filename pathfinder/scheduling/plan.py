"""What would happen if containers were asked for now, or nodes were lost or drained; nothing is done.

The answers are those of `place()` and `preempt()` on the fleet as it is, so a scheduler that does the same with the
same seed does what the plan says, as long as nothing else happens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pathfinder.domain.selectors import Selector
from pathfinder.scheduling.fleet import CPU, MEMORY, Fleet, amounts
from pathfinder.scheduling.place import Decision, decide
from pathfinder.scheduling.plugins import Fault
from pathfinder.scheduling.policy import Policy
from pathfinder.scheduling.preempt import Eviction, Leaving, Tenant, preempt
from pathfinder.scheduling.relations import remember
from pathfinder.scheduling.request import Request
from pathfinder.scheduling.resilience import Resident, dead, departed
from pathfinder.scheduling.turns import by_policy


@dataclass(frozen=True, slots=True)
class Wanted:
    """A container that needs a node, and the policy it is placed by."""

    request: Request
    policy: Policy


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who might have to give way to the more urgent, where a policy lets them: as `preempt` wants it."""

    tenants: Sequence[Tenant] = ()
    leaving: Sequence[Leaving] = ()
    budgets: Mapping[Selector, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fill:
    """How full a node is: the share of its cpu and of its memory that is claimed, and how many containers claim."""

    node: str
    cpu: float
    memory: float
    containers: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What would happen. `moving` are the ids of containers that leave a node, `staying` of stateful ones that would
    wait for theirs. `before` and `after` tell of the nodes that would change, `fleet` of all as they would be before
    anybody gave way, `faults` of plugins that were left out.
    """

    decisions: tuple[Decision, ...]
    evictions: tuple[Eviction, ...]
    before: tuple[Fill, ...]
    after: tuple[Fill, ...]
    fleet: Fleet = field(compare=False, repr=False)
    moving: frozenset[str] = frozenset()
    staying: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether every container would have a node at once, without anybody giving way."""
        return all(one.index is not None for one in self.decisions)


def create(fleet: Fleet, wanted: Sequence[Wanted], seed: int, crowd: Crowd | None = None) -> Plan:
    """What would happen to new containers, in the order in which a scheduler takes them."""
    line = sorted(wanted, key=lambda one: -one.request.ask.priority)
    return _plan(fleet, fleet, line, seed, crowd or Crowd())


def lose(
    fleet: Fleet,
    rows: Sequence[int],
    residents: Sequence[Resident],
    policies: Mapping[str, Policy],
    seed: int,
    crowd: Crowd | None = None,
) -> Plan:
    """What would happen if the nodes of these rows died now. `policies` by the id of each resident."""
    return _without(fleet, dead(fleet, rows), rows, residents, policies, seed, crowd)


def drain(
    fleet: Fleet,
    rows: Sequence[int],
    residents: Sequence[Resident],
    policies: Mapping[str, Policy],
    seed: int,
    crowd: Crowd | None = None,
) -> Plan:
    """What would happen if the nodes of these rows were cordoned, and all that is stateless there placed anew."""
    schedulable = fleet.schedulable.copy()
    schedulable[list(rows)] = False
    return _without(fleet, replace(fleet, schedulable=schedulable), rows, residents, policies, seed, crowd)


def _without(
    before: Fleet,
    after: Fleet,
    rows: Sequence[int],
    residents: Sequence[Resident],
    policies: Mapping[str, Policy],
    seed: int,
    crowd: Crowd | None,
) -> Plan:
    there = {str(before.ids[row]): row for row in rows}
    on = [one for one in residents if one.node in there]
    moving = [one for one in on if not one.stateful]
    # Whoever is gone keeps nobody away. Its claim stands until its node says so; nobody else may go there anyway.
    left = departed(after, ((there[one.node], one.request.ask) for one in moving))
    wanted = [Wanted(one.request, policies[one.request.id]) for one in moving]
    made = _plan(before, left, wanted, seed, crowd or Crowd())
    return replace(
        made,
        moving=frozenset(one.request.id for one in moving),
        staying=tuple(one.request.id for one in on if one.stateful),
    )


def _plan(before: Fleet, fleet: Fleet, wanted: Sequence[Wanted], seed: int, crowd: Crowd) -> Plan:
    now = fleet.working((1.0, 1.0, 1.0))
    decided: dict[str, Decision] = {}
    faults: dict[Fault, None] = {}
    policies = {one.policy.name: one.policy for one in wanted}
    groups = by_policy(
        wanted, lambda it: it.policy.name, lambda it: it.request.ask.priority, lambda it: it.request.gang
    )
    waiting: list[tuple[Policy, list[Request]]] = []
    for name, group in groups:
        decisions, tried = decide(now, [one.request for one in group], policies[name], seed)
        faults |= dict.fromkeys(tried.faults)
        settle(now, decisions)
        decided |= {one.request.id: one for one in decisions}
        waiting.append((policies[name], [one.request for one in decisions if one.index is None]))
    changed = np.flatnonzero((now.containers != before.containers) | (now.claimed != before.claimed).any(axis=1))
    return Plan(
        tuple(decided[one.request.id] for one in wanted),
        tuple(_evictions(now.working((1.0, 1.0, 1.0)), waiting, crowd)),
        fill(before, changed.tolist()),
        fill(now, changed.tolist()),
        now,
        faults=tuple(faults),
    )


def _evictions(fleet: Fleet, waiting: Sequence[tuple[Policy, Sequence[Request]]], crowd: Crowd) -> list[Eviction]:
    """Who would give way to those that wait, on a working fleet: to the later ones of what the earlier ones leave."""
    evictions: list[Eviction] = []
    tenants, budgets = list(crowd.tenants), dict(crowd.budgets)
    for policy, requests in waiting:
        found = preempt(fleet, tenants, requests, policy, crowd.leaving, budgets)
        for one in found:
            for victim in one.victims:
                fleet.add(one.index, amounts(victim.ask.resources), victim.ask.stateful, -1)
                remember(fleet, victim.ask, np.array([one.index]), -1)
                for selector in budgets:
                    budgets[selector] -= selector.matches(victim.ask.own_labels)
            _claim(fleet, one.request, one.index)
        gone = {victim.id for one in found for victim in one.victims}
        tenants = [one for one in tenants if one.id not in gone]
        evictions += found
    return evictions


def settle(fleet: Fleet, decisions: Sequence[Decision]) -> None:
    """Claim on a working fleet what was decided, as a scheduler does."""
    for one in decisions:
        if one.index is not None:
            _claim(fleet, one.request, one.index)


def _claim(fleet: Fleet, request: Request, row: int) -> None:
    fleet.add(row, amounts(request.ask.resources), request.ask.stateful)
    remember(fleet, request.ask, np.array([row]))


def fill(fleet: Fleet, rows: Sequence[int]) -> tuple[Fill, ...]:
    """How full these nodes are."""
    shares = fleet.claimed / np.maximum(fleet.capacity, 1)
    return tuple(
        Fill(
            str(fleet.hostnames[row]),
            float(shares[row, CPU]),
            float(shares[row, MEMORY]),
            int(fleet.containers[row]),
        )
        for row in rows
    )
