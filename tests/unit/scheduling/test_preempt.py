"""`preempt()`: whose place a more urgent request may take."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, combinations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from model import MOSTLY, Model, asks, plain

from pathfinder.domain.asking import Budget
from pathfinder.domain.resources import Resources
from pathfinder.scheduling.fleet import UNLIMITED, Fleet, NodeState
from pathfinder.scheduling.policy import POLICIES
from pathfinder.scheduling.preempt import Eviction, Leaving, Tenant, preempt
from pathfinder.scheduling.request import Ask, Gang, Request

POLICY = replace(POLICIES["spread"], preemption=True)
BUDGETS = st.sampled_from([None, Budget(plain({"app": "a"}), 1), Budget(plain({"app": "b"}), 0)])
PRIORITIES = st.integers(0, 2)


SOME = st.builds(Resources, st.integers(1, 3), st.integers(0, 2), st.just(0))


@st.composite
def modest(draw: st.DrawFn, company: bool) -> Ask:
    """Asks that only urgency, room and company matter to."""
    ask = draw(asks(company=company))
    stateful = draw(st.sampled_from([False, False, False, True]))
    return Ask(draw(SOME), stateful, affinities=ask.affinities[:1], spreads=ask.spreads, labels=ask.labels)


def urgency(ask: Ask, priority: int) -> Ask:
    """The same, as urgent as that."""
    return replace(ask, priority=priority)


@st.composite
def crowded(draw: st.DrawFn, *, company: bool = True) -> tuple[Model, list[Tenant]]:
    """A small fleet whose nodes are nearly full of what is on them."""
    many = draw(st.integers(1, 3))
    tenants = [
        Tenant(f"t-{number}", draw(st.integers(0, many - 1)), urgency(ask, draw(PRIORITIES)), draw(BUDGETS))
        for number, ask in enumerate(draw(st.lists(modest(company), min_size=1, max_size=6)))
    ]
    nodes = []
    for row in range(many):
        mine = [one.ask.resources for one in tenants if one.row == row]
        cpu, memory = sum(one.cpu_millicores for one in mine), sum(one.memory_bytes for one in mine)
        room = Resources(cpu + draw(st.integers(0, 1)), memory + draw(st.integers(0, 2)))
        zone = draw(st.sampled_from(["a", "b"]))
        node = NodeState(f"{row}", f"node-{row}", draw(MOSTLY), True, room, Resources(), 0, 0, {"zone": zone})
        limit = len(mine) if draw(st.booleans()) else UNLIMITED
        nodes.append(replace(node, max_containers=limit))
    return Model.of(nodes, [(one.row, one.ask) for one in tenants]), tenants


@st.composite
def wanted(draw: st.DrawFn, *, company: bool = True) -> list[Request]:
    """Requests of some urgency."""
    drawn = draw(st.lists(modest(company), min_size=1, max_size=3))
    return [Request(f"r-{n}", urgency(ask, draw(st.integers(0, 4)))) for n, ask in enumerate(drawn)]


def without(model: Model, tenants: Sequence[Tenant], gone: set[str]) -> Model:
    """The same fleet, some of its tenants gone."""
    empty: dict[str, Any] = {"claimed": Resources(), "containers": 0, "stateful": 0}
    nodes = [replace(node, slots=UNLIMITED, **empty) for node in model.nodes]
    return Model.of(nodes, [(one.row, one.ask) for one in tenants if one.id not in gone])


@given(crowded(), wanted())
def test_victims_are_less_urgent_stateless_within_their_budgets_and_make_room(
    drawn: tuple[Model, list[Tenant]], requests: list[Request]
) -> None:
    """And everybody else's rules hold once the request is there."""
    model, tenants = drawn

    evictions = preempt(model.fleet(requests), tenants, requests, POLICY)

    gone: set[str] = set()
    for one in evictions:
        assert one.victims
        assert all(victim.row == one.index for victim in one.victims)
        assert all(victim.ask.priority < one.request.ask.priority for victim in one.victims)
        assert not any(victim.ask.stateful for victim in one.victims)
        assert not gone & {victim.id for victim in one.victims}
        gone |= {victim.id for victim in one.victims}
    away = Counter(one.budget for one in tenants if one.id in gone and one.budget)
    assert all(count <= budget.max_unavailable for budget, count in away.items())
    if len(requests) == 1 and evictions:
        after = without(model, tenants, gone)
        assert after.allows(evictions[0].index, requests[0].ask, POLICY)


def fewest(model: Model, tenants: Sequence[Tenant], ask: Ask) -> set[frozenset[str]]:
    """Every set of victims that would make room, by trying all."""
    lower = [one for one in tenants if one.ask.priority < ask.priority and not one.ask.stateful]
    found = set()
    for victims in chain.from_iterable(combinations(lower, size) for size in range(1, len(lower) + 1)):
        spent = Counter(one.budget for one in victims if one.budget)
        if len({one.row for one in victims}) > 1 or any(n > budget.max_unavailable for budget, n in spent.items()):
            continue
        gone = {one.id for one in victims}
        if without(model, tenants, gone).allows(victims[0].row, ask, POLICY):
            found.add(frozenset(gone))
    return found


@given(crowded(company=False), wanted(company=False))
def test_somebody_is_evicted_if_and_only_if_that_helps_and_nobody_in_vain(
    drawn: tuple[Model, list[Tenant]], requests: list[Request]
) -> None:
    """By trying every set of victims on every node; budgets aside, which bind the least urgent of theirs only."""
    model, tenants = drawn
    tenants = [replace(one, budget=None) for one in tenants]
    request = requests[0]

    evictions = preempt(model.fleet([request]), tenants, [request], POLICY)

    options = fewest(model, tenants, request.ask)
    if model.placeable(request.ask, POLICY):
        assert evictions == []
    elif evictions:
        chosen = frozenset(one.id for one in evictions[0].victims)
        assert chosen in options
        assert not any(option < chosen for option in options)
        worst = {one.id: one.ask.priority for one in tenants}
        assert max(worst[id_] for id_ in chosen) == min(max(worst[id_] for id_ in option) for option in options)
    else:
        assert not options


def full_node(*tenants: Tenant, cpu: int = 4) -> Fleet:
    """One node with so much cpu, all of it claimed by these."""
    claimed = Resources(sum(one.ask.resources.cpu_millicores for one in tenants))
    return Fleet.of([NodeState("0", "node-0", True, True, Resources(cpu), claimed, len(tenants), 0, {})])


def tenant(name: str, cpu: int, priority: int = 0, budget: Budget | None = None) -> Tenant:
    """One on the only node."""
    return Tenant(name, 0, Ask(Resources(cpu), priority=priority), budget)


def urgent(cpu: int, priority: int = 10, gang: Gang | None = None) -> Request:
    """A request for so much."""
    return Request(f"urgent-{cpu}", Ask(Resources(cpu), priority=priority), gang=gang)


def names(evictions: list[Eviction]) -> list[list[str]]:
    """Who goes."""
    return [[one.id for one in eviction.victims] for eviction in evictions]


def test_nobody_gives_way_unless_the_policy_says_so() -> None:
    """Off is off."""
    there = tenant("a", 4)

    assert preempt(full_node(there), [there], [urgent(1)], POLICIES["spread"]) == []
    assert names(preempt(full_node(there), [there], [urgent(1)], POLICY)) == [["a"]]


def test_the_least_urgent_goes() -> None:
    """Although another would do."""
    there = [tenant("high", 2, 5), tenant("low", 2, 1)]

    assert names(preempt(full_node(*there), there, [urgent(2)], POLICY)) == [["low"]]


def test_who_is_about_to_go_is_not_replaced_by_another_victim() -> None:
    """Else each look at a waiting request would evict one more."""
    there = [tenant("a", 2)]
    fleet = full_node(*there, tenant("going", 2))

    assert preempt(fleet, there, [urgent(2)], POLICY, leaving=[Leaving(0, Resources(2))]) == []
    assert names(preempt(fleet, there, [urgent(2)], POLICY)) == [["a"]]


def test_who_is_away_already_counts_against_the_budget() -> None:
    """One may be away, and is."""
    budget = Budget(plain({"app": "a"}), 1)
    there = [tenant("a", 4, budget=budget)]

    assert preempt(full_node(*there), there, [urgent(1)], POLICY, away={budget: 1}) == []


def test_a_gang_that_cannot_be_whole_evicts_nobody() -> None:
    """Its second part does not fit whoever goes."""
    there = [tenant("a", 4)]
    gang = Gang("g", 2)

    assert preempt(full_node(*there), there, [urgent(3, gang=gang), urgent(4, gang=gang)], POLICY) == []
