"""Whose place a more urgent request may take: `preempt(fleet, tenants, requests, policy)`.

Least harm first: of the rows that `freeable` finds worth a look, the one on which the most urgent victim is the least
urgent; of those, the one with the fewest victims, and then with the least room taken from them. No victim is as urgent
as the request, none is stateful, and no budget is exceeded. Not every set of victims is tried: docs/decisions/0013 says
what can be missed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pathfinder.domain.resources import Resources
from pathfinder.domain.selectors import Selector
from pathfinder.scheduling.fleet import Fleet, Mask, amounts
from pathfinder.scheduling.freeable import Labels, Lot, Lots, Size, short, size
from pathfinder.scheduling.ladder import possible
from pathfinder.scheduling.plugins import without_failing
from pathfinder.scheduling.policy import Policy
from pathfinder.scheduling.relations import Relations, matters, remember
from pathfinder.scheduling.request import Ask, Request
from pathfinder.scheduling.turns import order

#: For how many requests room is made at a time.
MOST_WAITING = 200

#: On how many rows victims are chosen for one request, of those where it has company's leave and of the others.
MOST_ROWS = 32

#: What fewer containers on a node can change.
_ROOM = frozenset({"fits", "counts"})

#: How many more may go of each group that a budget is for: all of the strictest budget that are not away yet.
Budgets = Mapping[Selector, int]


@dataclass(frozen=True, slots=True)
class Tenant:
    """A container that is on a row of the fleet. Its ask has the labels that budgets look at; `generation` is that of
    its placement there.
    """

    id: str
    row: int
    ask: Ask
    generation: int = 0


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
    budgets: Budgets | None = None,
) -> list[Eviction]:
    """Whom to evict for requests that could not be placed; nothing for those who will have room without that.

    `fleet` has the tallies those requests need. `tenants` may leave out rows that `worth_a_look` does not name. Gangs
    are whole or absent here too. Pure; equal arguments give equal answers.
    """
    if not policy.preemption:
        return []
    given = dict(budgets or {})
    line = [requests[position] for position in order(requests, fleet)]

    def found(tried: Policy) -> list[Eviction]:
        return _found(_Rows(fleet, lots(tenants, given), tried, leaving, given, tenants), line)

    return without_failing(policy, found)[0]


def worth_a_look(
    fleet: Fleet,
    there: Sequence[Lot],
    requests: Sequence[Request],
    policy: Policy,
    leaving: Sequence[Leaving],
    budgets: Budgets,
) -> list[int]:
    """The rows whose tenants `preempt` has to be told of; each request may use up the best one."""

    def found(tried: Policy) -> set[int]:
        rows = _Rows(fleet, there, tried, leaving, budgets)
        many = MOST_ROWS + len(requests)
        return {row for ask in {one.ask for one in requests} for row in rows.promising(ask, many)}

    return sorted(without_failing(policy, found)[0])


def lots(tenants: Sequence[Tenant], budgets: Budgets) -> list[Lot]:
    """The tenants that may have to go, summed up."""
    keys = keys_of(budgets)
    many: dict[tuple[int, int, Labels], list[Resources]] = {}
    for one in tenants:
        if not one.ask.stateful:
            many.setdefault((one.row, one.ask.priority, _told(one.ask, keys)), []).append(one.ask.resources)
    return [
        Lot(*key, len(ones), Resources(*map(sum, parts)), Resources(*map(max, parts)))
        for key, ones in many.items()
        for parts in [list(zip(*(size(one)[:3] for one in ones), strict=True))]
    ]


def keys_of(budgets: Budgets) -> set[str]:
    """The labels that budgets look at."""
    return {one.key for selector in budgets for one in selector.requirements}


def _told(ask: Ask, keys: set[str]) -> Labels:
    return tuple(label for label in ask.labels if label[0] in keys)


def _found(rows: "_Rows", requests: Sequence[Request]) -> list[Eviction]:
    found: list[Eviction] = []
    failed: set[str] = set()
    for request in requests:
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
        there: Sequence[Lot],
        policy: Policy,
        leaving: Sequence[Leaving],
        budgets: Budgets,
        tenants: Sequence[Tenant] = (),
    ) -> None:
        self._fleet, self._policy = fleet.working(policy.overcommit), policy
        self._elsewhere = replace(policy, filters=tuple(one for one in policy.filters if one.name not in _ROOM))
        self._left = dict(budgets)
        self._keys = keys_of(budgets)
        self._lots = Lots(there, list(budgets))
        self._counting: dict[Labels, tuple[Selector, ...]] = {}
        self._there: dict[int, list[Tenant]] = {}
        for tenant in sorted(tenants, key=_urgency):
            if not tenant.ask.stateful:
                self._there.setdefault(tenant.row, []).append(tenant)
        #: Asks that nothing helps, and what else is where does not matter to: there is less and less to give.
        self._hopeless: set[Ask] = set()
        for one in leaving:
            self._fleet.add(one.row, amounts(one.resources), one.stateful, -1)

    def make_room(self, request: Request) -> Eviction | None:
        """Where the request goes and who must go for it, as if both were done then; None where nothing helps."""
        ask = request.ask
        if ask in self._hopeless:
            return None
        company = Relations(self._fleet, ask, self._policy).mask()
        free = possible(self._fleet, ask, self._policy)
        free = free if company is None else free & company
        if free.any():
            return self._done(request, int(np.flatnonzero(free)[0]), ())
        lacks = short(self._fleet, ask)
        options = [
            (_harm(victims), row, victims)
            for row in self.promising(ask, MOST_ROWS)
            if (victims := self._victims(row, ask, lacks[row].tolist()))
        ]
        if options:
            return self._done(request, *min(options, key=lambda option: option[:2])[1:])
        if not Relations.any(self._fleet, ask):
            self._hopeless.add(ask)
        return None

    def promising(self, ask: Ask, many: int) -> list[int]:
        """The best rows to look for victims on: so many where company allows the request now, so many others."""
        suits: Mask = possible(self._fleet, ask, self._elsewhere)
        if ask.stateful:
            suits = suits & (self._fleet.stateful < self._fleet.max_stateful)
        company = Relations(self._fleet, ask, self._policy).mask()
        lacks = short(self._fleet, ask)
        parts = [suits] if company is None else [suits & company, suits & ~company]
        return [row for part in parts for row in self._lots.best(lacks, part, ask.priority, self._left, many)]

    def _victims(self, row: int, ask: Ask, lacks: Sequence[int]) -> tuple[Tenant, ...]:
        """The least that must go from a row: all that may, but for those that can stay, the most urgent first."""
        for line in _lines([one for one in self._there.get(row, ()) if one.ask.priority < ask.priority], ask, lacks):
            going = self._within_budgets(line)
            freed = map(sum, zip((0, 0, 0, 0), *map(_size, going), strict=True))
            spare = [part - lack for part, lack in zip(freed, lacks, strict=True)]
            if not going or min(spare) < 0 or not self._company_allows(row, ask, going):
                continue
            for one in sorted(going, key=_urgency, reverse=True):
                rest = [have - part for have, part in zip(spare, _size(one), strict=True)]
                if min(rest) < 0:
                    continue
                without = [other for other in going if other is not one]
                if not matters(ask, one.ask) or self._company_allows(row, ask, without):
                    going, spare = without, rest
            return tuple(sorted(going, key=_urgency))
        return ()

    def _within_budgets(self, line: Sequence[Tenant]) -> list[Tenant]:
        """As many as may go, the first of the line first."""
        left, going = dict(self._left), []
        for one in line:
            counting = self._budgets(one)
            if all(left[budget] > 0 for budget in counting):
                going.append(one)
                left.update({budget: left[budget] - 1 for budget in counting})
        return going

    def _budgets(self, tenant: Tenant) -> tuple[Selector, ...]:
        """Those that count this one, whoever's they are."""
        told = _told(tenant.ask, self._keys)
        if told not in self._counting:
            self._counting[told] = tuple(one for one in self._left if one.matches(dict(told)))
        return self._counting[told]

    def _company_allows(self, row: int, ask: Ask, going: Sequence[Tenant]) -> bool:
        """Whether the rules about company let the request go there once these are gone."""
        if not Relations.any(self._fleet, ask):
            return True
        near = [one for one in going if matters(ask, one.ask)]
        self._count(row, near, -1)
        mask = Relations(self._fleet, ask, self._policy).mask()
        self._count(row, near, 1)
        return mask is None or bool(mask[row])

    def _count(self, row: int, tenants: Sequence[Tenant], count: int) -> None:
        for one in tenants:
            remember(self._fleet, one.ask, np.array([row]), count)

    def _done(self, request: Request, row: int, victims: tuple[Tenant, ...]) -> Eviction:
        self._count(row, victims, -1)
        for one in victims:
            self._fleet.add(row, amounts(one.ask.resources), one.ask.stateful, -1)
            self._lots.gone(row, one.ask.priority, _told(one.ask, self._keys), one.ask.resources)
            self._there[row].remove(one)
            for budget in self._budgets(one):
                self._left[budget] -= 1
        self._fleet.add(row, amounts(request.ask.resources), request.ask.stateful)
        remember(self._fleet, request.ask, np.array([row]))
        return Eviction(request, row, victims)


def _lines(lower: list[Tenant], ask: Ask, lacks: Sequence[int]) -> Iterator[list[Tenant]]:
    """In which order tenants are given up, as far as their budgets go; the next where that does not help."""
    yield lower
    yield sorted(lower, key=lambda one: -sum(part / lack for part, lack in zip(_size(one), lacks, strict=True) if lack))
    wanted = [one.to for one in ask.affinities if one.required and not one.apart]
    yield [one for one in lower if not any(selector.matches(one.ask.own_labels) for selector in wanted)]


def _size(tenant: Tenant) -> Size:
    return size(tenant.ask.resources)


def _urgency(tenant: Tenant) -> tuple[int, str]:
    return tenant.ask.priority, tenant.id


def _harm(victims: Sequence[Tenant]) -> tuple[int, int, int]:
    """The most urgent victim, how many there are, and the memory they had."""
    return (
        max(one.ask.priority for one in victims),
        len(victims),
        sum(one.ask.resources.memory_bytes for one in victims),
    )
