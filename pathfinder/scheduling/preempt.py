"""Whose place a more urgent request may take: `preempt(fleet, tenants, requests, policy)`.

Least harm first: of all nodes, the one on which the most urgent victim is the least urgent; of those, the one with the
fewest victims, and then with the least room taken from them. No victim is as urgent as the request, none is stateful,
and no budget is exceeded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pathfinder.domain.asking import Budget
from pathfinder.domain.resources import Resources
from pathfinder.scheduling.fleet import Fleet, Mask, amounts
from pathfinder.scheduling.ladder import possible
from pathfinder.scheduling.place import order
from pathfinder.scheduling.plugins import without_failing
from pathfinder.scheduling.policy import Policy
from pathfinder.scheduling.relations import Relations, remember
from pathfinder.scheduling.request import Ask, Request

#: What fewer containers on a node can change.
_ROOM = frozenset({"fits", "counts"})


@dataclass(frozen=True, slots=True)
class Tenant:
    """A container that is on a row of the fleet, and how much of its like may be away at once."""

    id: str
    row: int
    ask: Ask
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class Leaving:
    """Something that still claims on a row, but is about to go."""

    row: int
    resources: Resources
    stateful: bool = False


@dataclass(frozen=True, slots=True)
class Eviction:
    """These have to go from row `index` for the request to be placed there."""

    request: Request
    index: int
    victims: tuple[Tenant, ...]


def preempt(
    fleet: Fleet,
    tenants: Sequence[Tenant],
    requests: Sequence[Request],
    policy: Policy,
    leaving: Sequence[Leaving] = (),
    away: Mapping[Budget, int] | None = None,
) -> list[Eviction]:
    """Whom to evict for requests that could not be placed; nothing for those who will have room without that.

    `fleet` has the tallies those requests need. `away` is how many containers of each budget are away now. Gangs are
    whole or absent here too. Pure; equal arguments give equal answers.
    """
    if not policy.preemption:
        return []
    return without_failing(policy, lambda tried: _found(fleet, tenants, requests, tried, leaving, away or {}))[0]


def _found(
    fleet: Fleet,
    tenants: Sequence[Tenant],
    requests: Sequence[Request],
    policy: Policy,
    leaving: Sequence[Leaving],
    away: Mapping[Budget, int],
) -> list[Eviction]:
    rows = _Rows(fleet, tenants, policy, leaving, away)
    found: list[Eviction] = []
    failed: set[str] = set()
    for position in order(requests):
        request = requests[position]
        if request.gang is not None and request.gang.id in failed:
            continue
        eviction = rows.make_room(request)
        if eviction is not None:
            found.append(eviction)
        elif request.gang is not None:
            # What was moved for its siblings stays moved in this calculation: others get less, and a later look more.
            failed.add(request.gang.id)
    return [one for one in found if one.victims and not (one.request.gang and one.request.gang.id in failed)]


class _Rows:
    """The fleet as it will be when everybody has gone who is to go."""

    def __init__(
        self,
        fleet: Fleet,
        tenants: Sequence[Tenant],
        policy: Policy,
        leaving: Sequence[Leaving],
        away: Mapping[Budget, int],
    ) -> None:
        self._fleet, self._policy = fleet.working(policy.overcommit), policy
        self._elsewhere = replace(policy, filters=tuple(one for one in policy.filters if one.name not in _ROOM))
        self._there: dict[int, list[Tenant]] = {}
        for tenant in tenants:
            self._there.setdefault(tenant.row, []).append(tenant)
        self._left: dict[Budget, int] = {
            one.budget: one.budget.max_unavailable - away.get(one.budget, 0) for one in tenants if one.budget
        }
        for one in leaving:
            self._fleet.add(one.row, amounts(one.resources), one.stateful, -1)

    def make_room(self, request: Request) -> Eviction | None:
        """Where the request goes and who must go for it, as if both were done then; None where nothing helps."""
        ask = request.ask
        allowed = self._allowed(ask)
        free = allowed & possible(self._fleet, ask, self._policy)
        if free.any():
            return self._done(request, int(np.flatnonzero(free)[0]), ())
        options = []
        for row in np.flatnonzero(allowed).tolist():
            victims = self._victims(row, ask)
            if victims:
                options.append((_harm(victims), row, victims))
        for _, row, victims in sorted(options, key=lambda option: option[:2]):
            if self._company_stays(row, ask, victims):
                return self._done(request, row, victims)
        return None

    def _allowed(self, ask: Ask) -> Mask:
        mask = possible(self._fleet, ask, self._elsewhere)
        company = Relations(self._fleet, ask, self._policy).mask()
        return mask if company is None else mask & company

    def _victims(self, row: int, ask: Ask) -> tuple[Tenant, ...]:
        """The least that must go from a row: all that may, but for those that can stay, the most urgent first.

        Of those that share a budget, only the least urgent may: others might fit better, but are not tried.
        """
        lower = sorted(
            (one for one in self._there.get(row, ()) if one.ask.priority < ask.priority and not one.ask.stateful),
            key=lambda one: (one.ask.priority, one.id),
        )
        left = dict(self._left)
        going: list[Tenant] = []
        for one in lower:
            if one.budget is not None:
                if left[one.budget] <= 0:
                    continue
                left[one.budget] -= 1
            going.append(one)
        if not self._fits(row, ask, going):
            return ()
        for one in reversed(list(going)):
            without = [other for other in going if other is not one]
            if self._fits(row, ask, without):
                going = without
        return tuple(going)

    def _fits(self, row: int, ask: Ask, going: Sequence[Tenant]) -> bool:
        fleet = self._fleet
        freed: NDArray[np.int64] = sum((amounts(one.ask.resources) for one in going), start=np.zeros(3, dtype=np.int64))
        wanted = amounts(ask.resources)
        room = ((fleet.claimed[row] - freed + wanted <= fleet.room[row]) | (wanted == 0)).all()
        fewer = fleet.containers[row] - len(going) < fleet.max_containers[row]
        return bool(room and fewer and (not ask.stateful or fleet.stateful[row] < fleet.max_stateful[row]))

    def _company_stays(self, row: int, ask: Ask, victims: Sequence[Tenant]) -> bool:
        """Whether the rules about company hold there also when the victims are gone."""
        if not Relations.any(self._fleet, ask):
            return True
        after = self._fleet.working(self._policy.overcommit)
        for one in victims:
            remember(after, one.ask, np.array([row]), -1)
        mask = Relations(after, ask, self._policy).mask()
        return mask is None or bool(mask[row])

    def _done(self, request: Request, row: int, victims: tuple[Tenant, ...]) -> Eviction:
        for one in victims:
            self._fleet.add(row, amounts(one.ask.resources), one.ask.stateful, -1)
            remember(self._fleet, one.ask, np.array([row]), -1)
            self._there[row].remove(one)
            if one.budget is not None:
                self._left[one.budget] -= 1
        self._fleet.add(row, amounts(request.ask.resources), request.ask.stateful)
        remember(self._fleet, request.ask, np.array([row]))
        return Eviction(request, row, victims)


def _harm(victims: Sequence[Tenant]) -> tuple[int, int, int]:
    """The most urgent victim, how many there are, and the memory they had."""
    return (
        max(one.ask.priority for one in victims),
        len(victims),
        sum(one.ask.resources.memory_bytes for one in victims),
    )
