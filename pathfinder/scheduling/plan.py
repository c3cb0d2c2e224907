"""What would happen if containers were asked for now, or nodes were lost or drained; nothing is done.

The answers are those of `place()` and `preempt()` on the fleet as it is, so a scheduler that does the same with the
same seed does what the plan says, as long as nothing else happens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pathfinder.domain.asking import Budget
from pathfinder.scheduling.fleet import CPU, MEMORY, Fleet, amounts
from pathfinder.scheduling.place import Decision, place
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
    away: Mapping[Budget, int] = field(default_factory=dict)


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
    wait for theirs. `before` and `after` tell of the nodes that would change.
    """

    decisions: tuple[Decision, ...]
    evictions: tuple[Eviction, ...]
    before: tuple[Fill, ...]
    after: tuple[Fill, ...]
    moving: frozenset[str] = frozenset()
    staying: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether every container would have a node at once, without anybody giving way."""
        return all(one.index is not None for one in self.decisions)


def create(fleet: Fleet, wanted: Sequence[Wanted], seed: int, crowd: Crowd | None = None) -> Plan:
    """What would happen to new containers, in the order in which a scheduler takes them."""
    line = sorted(wanted, key=lambda one: -one.request.ask.priority)
    return _plan(fleet, fleet, line, seed, crowd or Crowd())


def lose(
    fleet: Fleet, rows: Sequence[int], residents: Sequence[Resident], policies: Mapping[str, Policy], seed: int
) -> Plan:
    """What would happen if the nodes of these rows died now. `policies` by the id of each resident."""
    return _without(fleet, dead(fleet, rows), rows, residents, policies, seed)


def drain(
    fleet: Fleet, rows: Sequence[int], residents: Sequence[Resident], policies: Mapping[str, Policy], seed: int
) -> Plan:
    """What would happen if the nodes of these rows were cordoned, and all that is stateless there placed anew."""
    schedulable = fleet.schedulable.copy()
    schedulable[list(rows)] = False
    return _without(fleet, replace(fleet, schedulable=schedulable), rows, residents, policies, seed)


def _without(
    before: Fleet,
    after: Fleet,
    rows: Sequence[int],
    residents: Sequence[Resident],
    policies: Mapping[str, Policy],
    seed: int,
) -> Plan:
    there = {str(before.ids[row]): row for row in rows}
    on = [one for one in residents if one.node in there]
    moving = [one for one in on if not one.stateful]
    # Whoever is gone keeps nobody away. Its claim stands until its node says so; nobody else may go there anyway.
    left = departed(after, ((there[one.node], one.request.ask) for one in moving))
    wanted = [Wanted(one.request, policies[one.request.id]) for one in moving]
    made = _plan(before, left, wanted, seed, Crowd())
    return replace(
        made,
        moving=frozenset(one.request.id for one in moving),
        staying=tuple(one.request.id for one in on if one.stateful),
    )


def _plan(before: Fleet, fleet: Fleet, wanted: Sequence[Wanted], seed: int, crowd: Crowd) -> Plan:
    now = fleet.working((1.0, 1.0, 1.0))
    decided: dict[str, Decision] = {}
    evictions: list[Eviction] = []
    policies = {one.policy.name: one.policy for one in wanted}
    groups = by_policy(
        wanted, lambda it: it.policy.name, lambda it: it.request.ask.priority, lambda it: it.request.gang
    )
    for name, group in groups:
        policy = policies[name]
        decisions = place(now, [one.request for one in group], policy, seed)
        settle(now, decisions)
        decided |= {one.request.id: one for one in decisions}
        left = [one.request for one in decisions if one.index is None]
        evictions += preempt(now, crowd.tenants, left, policy, crowd.leaving, crowd.away)
    changed = np.flatnonzero((now.containers != before.containers) | (now.claimed != before.claimed).any(axis=1))
    return Plan(
        tuple(decided[one.request.id] for one in wanted),
        tuple(evictions),
        fill(before, changed.tolist()),
        fill(now, changed.tolist()),
    )


def settle(fleet: Fleet, decisions: Sequence[Decision]) -> None:
    """Claim on a working fleet what was decided, as a scheduler does."""
    for one in decisions:
        if one.index is not None:
            fleet.add(one.index, amounts(one.request.ask.resources), one.request.ask.stateful)
            remember(fleet, one.request.ask, np.array([one.index]))


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
