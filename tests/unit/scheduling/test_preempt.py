"""`preempt()`: whose place a more urgent request may take."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from model import MOSTLY, Model, asks, plain

from pathfinder.domain.asking import NODE, Affinity
from pathfinder.domain.resources import Resources
from pathfinder.domain.selectors import Selector
from pathfinder.scheduling.fleet import UNLIMITED, Fleet, NodeState
from pathfinder.scheduling.policy import POLICIES
from pathfinder.scheduling.preempt import MOST_ROWS, Eviction, Leaving, Tenant, lots, preempt, worth_a_look
from pathfinder.scheduling.request import Ask, Gang, Request
from pathfinder.scheduling.turns import order

POLICY = replace(POLICIES["spread"], preemption=True)
GROUPS = st.sampled_from([plain({"app": "a"}), plain({"app": "b"}), Selector.parse("app"), Selector.parse("app!=a")])
BUDGETS = st.dictionaries(GROUPS, st.integers(0, 2), max_size=2)
PRIORITIES = st.integers(0, 2)


SOME = st.builds(Resources, st.integers(1, 3), st.integers(0, 2), st.just(0))


@st.composite
def modest(draw: st.DrawFn, together: bool) -> Ask:
    """Asks that only urgency, room and company matter to; unless `together`, none that may need a victim's company."""
    ask = draw(asks())
    stateful = draw(st.sampled_from([False, False, False, True]))
    affinities = tuple(one for one in ask.affinities if one.apart or together)
    return Ask(draw(SOME), stateful, affinities=affinities[:1], spreads=ask.spreads, labels=ask.labels)


def urgency(ask: Ask, priority: int) -> Ask:
    """The same, as urgent as that."""
    return replace(ask, priority=priority)


@dataclass
class Crowded:
    """A small fleet whose nodes are nearly full of what is on them, some of it about to leave."""

    nodes: list[NodeState]
    tenants: list[Tenant]
    leaving: list[Leaving]

    def model(self, gone: Collection[str] = (), *, left: bool = True) -> Model:
        """Without those that are `gone`, and unless they have not `left` yet, without those about to leave."""
        there = [(one.row, one.ask) for one in self.tenants if one.id not in gone]
        still = Counter(row for row, _ in there)
        nodes = [replace(node, slots=node.slots + still[row]) for row, node in enumerate(self.nodes)]
        for one in self.leaving if not left else []:
            node, part = nodes[one.row], one.resources
            claimed = node.claimed.cpu_millicores + part.cpu_millicores, node.claimed.memory_bytes + part.memory_bytes
            nodes[one.row] = replace(
                node,
                claimed=Resources(*claimed),
                containers=node.containers + 1,
                stateful=node.stateful + one.stateful,
            )
        return Model.of(nodes, there)

    def preempt(self, requests: Sequence[Request], budgets: Mapping[Selector, int]) -> list[Eviction]:
        """The answer, with all that is known."""
        fleet = self.model(left=False).fleet(requests)
        return preempt(fleet, self.tenants, requests, POLICY, self.leaving, budgets)


@st.composite
def crowded(draw: st.DrawFn, *, together: bool = True) -> Crowded:
    """Up to three nodes."""
    many = draw(st.integers(1, 3))
    tenants = [
        Tenant(f"t-{number}", draw(st.integers(0, many - 1)), urgency(ask, draw(PRIORITIES)))
        for number, ask in enumerate(draw(st.lists(modest(together), min_size=1, max_size=6)))
    ]
    leaving = draw(st.lists(st.builds(Leaving, st.integers(0, many - 1), SOME, st.booleans()), max_size=2))
    nodes = []
    for row in range(many):
        mine = [one.ask.resources for one in tenants if one.row == row]
        going = [one.resources for one in leaving if one.row == row]
        cpu, memory = (sum(one.cpu_millicores for one in mine), sum(one.memory_bytes for one in mine))
        room = Resources(cpu + draw(st.integers(0, 1)), memory + draw(st.integers(0, 2)))
        node = NodeState(f"{row}", f"node-{row}", draw(MOSTLY), True, room, Resources(), 0, 0, {})
        nodes.append(
            replace(
                node,
                labels={"zone": draw(st.sampled_from(["a", "b"]))},
                max_containers=len(mine) + draw(st.integers(0, len(going))) if draw(st.booleans()) else UNLIMITED,
                slots=draw(st.sampled_from([UNLIMITED, UNLIMITED, 0, 1])),
            )
        )
    return Crowded(nodes, tenants, leaving)


@st.composite
def wanted(draw: st.DrawFn, *, together: bool = True) -> list[Request]:
    """Requests of some urgency, some of them a gang."""
    drawn = draw(st.lists(modest(together), min_size=1, max_size=3))
    gang = Gang("g", draw(st.integers(1, len(drawn))))
    asked = [urgency(ask, draw(st.integers(0, 4))) for ask in drawn]
    in_gang = draw(st.booleans())
    return [Request(f"r-{n}", ask, gang=gang if in_gang and n < gang.size else None) for n, ask in enumerate(asked)]


@given(crowded(), wanted(), BUDGETS)
def test_victims_are_less_urgent_stateless_within_every_budget_and_make_room(
    there: Crowded, requests: list[Request], budgets: dict[Selector, int]
) -> None:
    """Whoever's budget it is; and everybody else's rules hold once the request is there."""
    evictions = there.preempt(requests, budgets)

    victims = [victim for one in evictions for victim in one.victims]
    for one in evictions:
        assert one.victims
        assert all(victim.row == one.index for victim in one.victims)
        assert all(victim.ask.priority < one.request.ask.priority for victim in one.victims)
        assert not any(victim.ask.stateful for victim in one.victims)
    assert len({one.id for one in victims}) == len(victims)
    for selector, left in budgets.items():
        assert sum(selector.matches(one.ask.own_labels) for one in victims) <= left
    if len(requests) == 1 and evictions:
        after = there.model({one.id for one in victims})
        assert after.allows(evictions[0].index, requests[0].ask, POLICY)


@given(crowded(), wanted(), BUDGETS)
def test_whoever_evicts_for_a_gang_evicts_for_all_of_it(
    there: Crowded, requests: list[Request], budgets: dict[Selector, int]
) -> None:
    """Once the victims are gone there is a node for each of them, by trying all."""
    gang = [replace(one, gang=Gang("g", len(requests))) for one in requests]

    evictions = there.preempt(gang, budgets)

    if evictions:
        after = there.model({victim.id for one in evictions for victim in one.victims})
        line = [gang[position].ask for position in order(gang, there.model().fleet(gang))]
        assert any(fit(after, line, rows) for rows in product(range(len(there.nodes)), repeat=len(line)))


def fit(model: Model, line: Sequence[Ask], rows: Sequence[int]) -> bool:
    """Whether these can go there, one after the other."""
    now = model.copy()
    for ask, row in zip(line, rows, strict=True):
        if not now.allows(row, ask, POLICY):
            return False
        now.put(row, ask)
    return True


def helpful(there: Crowded, ask: Ask, budgets: Mapping[Selector, int]) -> set[frozenset[str]]:
    """Every set of victims that would make room, by trying all."""
    lower = [one for one in there.tenants if one.ask.priority < ask.priority and not one.ask.stateful]
    found = set()
    for victims in chain.from_iterable(combinations(lower, size) for size in range(1, len(lower) + 1)):
        counted = {one: sum(one.matches(victim.ask.own_labels) for victim in victims) for one in budgets}
        if len({one.row for one in victims}) > 1 or any(counted[one] > left for one, left in budgets.items()):
            continue
        gone = frozenset(one.id for one in victims)
        if there.model(gone).allows(victims[0].row, ask, POLICY):
            found.add(gone)
    return found


@given(crowded(together=False), wanted(together=False), BUDGETS)
def test_somebody_is_evicted_if_and_only_if_that_helps_and_nobody_in_vain(
    there: Crowded, requests: list[Request], budgets: dict[Selector, int]
) -> None:
    """By trying every set of victims on every node. With budgets a set that helps may be missed, but none is wrong."""
    request = replace(requests[0], gang=None)

    free = there.preempt([request], {})
    bound = there.preempt([request], budgets)

    options, allowed = helpful(there, request.ask, {}), helpful(there, request.ask, budgets)
    if there.model().placeable(request.ask, POLICY):
        assert free == bound == []
        return
    assert bool(free) == bool(options)
    for evictions, possible in ((free, options), (bound, allowed)):
        if evictions:
            chosen = frozenset(one.id for one in evictions[0].victims)
            assert chosen in possible
            assert not any(option < chosen for option in possible)
    if free:
        worst = {one.id: one.ask.priority for one in there.tenants}
        chosen = frozenset(one.id for one in free[0].victims)
        assert max(worst[id_] for id_ in chosen) == min(max(worst[id_] for id_ in option) for option in options)


def full_node(*tenants: Tenant, cpu: int = 4, slots: int = UNLIMITED) -> Fleet:
    """One node with so much cpu, all of it claimed by these."""
    claimed = Resources(sum(one.ask.resources.cpu_millicores for one in tenants))
    return Fleet.of([NodeState("0", "node-0", True, True, Resources(cpu), claimed, len(tenants), 0, {}, slots=slots)])


def tenant(name: str, cpu: int, priority: int = 0, app: str = "a") -> Tenant:
    """One on the only node."""
    return Tenant(name, 0, Ask(Resources(cpu), priority=priority, labels=(("app", app),)))


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


def test_a_budget_counts_all_of_its_group_and_each_victim_counts_for_all_that_match_it() -> None:
    """Two budgets overlap; the second is spent by victims of the first."""
    there = [tenant("a-1", 1), tenant("a-2", 1), tenant("b", 1, app="b"), tenant("c", 1, 5, app="c")]
    budgets = {Selector.parse("app=a"): 1, Selector.parse("app in (a, b)"): 1}

    assert names(preempt(full_node(*there), there, [urgent(2)], POLICY, budgets=budgets)) == [["a-1", "c"]]
    assert preempt(full_node(*there), there, [urgent(3)], POLICY, budgets=budgets) == []


def test_a_budget_that_is_spent_gives_nobody_up() -> None:
    """As many are away already as may be."""
    there = [tenant("a", 4)]

    assert preempt(full_node(*there), there, [urgent(1)], POLICY, budgets={Selector.parse("app=a"): 0}) == []


def test_a_budget_is_spent_on_who_is_big_enough() -> None:
    """The smaller one alone would not make room."""
    there = [tenant("a-small", 1), tenant("b-big", 3)]

    assert names(preempt(full_node(*there), there, [urgent(3)], POLICY, budgets={Selector.parse("app"): 1})) == [
        ["b-big"]
    ]


def test_a_node_that_is_set_aside_gets_no_room_from_those_who_go() -> None:
    """Neither does what leaves it count as free, nor is anybody evicted there."""
    there = [tenant("a", 2)]
    fleet = full_node(*there, tenant("going", 2), slots=0)

    assert preempt(fleet, there, [urgent(2)], POLICY, leaving=[Leaving(0, Resources(2))]) == []
    two = Fleet.of(
        [
            NodeState("0", "node-0", True, True, Resources(4), Resources(4), 1, 0, {}, slots=0),
            NodeState("1", "node-1", True, True, Resources(4), Resources(4), 1, 0, {}),
        ]
    )
    there = [replace(tenant("b", 4, 5), row=1)]
    (eviction,) = preempt(two, there, [urgent(2)], POLICY, leaving=[Leaving(0, Resources(4))])
    assert [one.id for one in eviction.victims] == ["b"]


def test_whose_company_alone_is_in_the_way_has_to_go() -> None:
    """There is room enough beside it; who is no such company stays."""
    apart = Affinity(plain({"app": "a"}), NODE, apart=True)
    there = [tenant("a", 1), tenant("b", 1, app="b")]
    request = Request("r", Ask(Resources(1), affinities=(apart,), priority=10))
    fleet = replace(full_node(*there), tallies={apart.to: np.array([1])})

    assert names(preempt(fleet, there, [request], POLICY)) == [["a"]]


def test_of_many_rows_the_best_are_looked_at_whatever_is_not_looked_at() -> None:
    """More rows than are examined, the best the last of them; and rows whose budget is spent are not in its way."""
    many = 3 * MOST_ROWS
    nodes = [NodeState(f"{n}", f"n-{n}", True, True, Resources(4), Resources(4), 1, 0, {}) for n in range(many)]
    there = [replace(tenant(f"t-{row}", 4, 3, app="a" if row < many - 2 else "b"), row=row) for row in range(many)]
    there[-1] = replace(there[-1], ask=replace(there[-1].ask, priority=2))

    for budgets in ({}, {Selector.parse("app=a"): 0}):
        assert names(preempt(Fleet.of(nodes), there, [urgent(2), urgent(4)], POLICY, budgets=budgets))[0] == [
            f"t-{many - 1}"
        ]
        rows = worth_a_look(Fleet.of(nodes), lots(there, budgets), [urgent(2)], POLICY, [], budgets)
        assert many - 1 in rows
        assert len(rows) <= MOST_ROWS + 1


def test_a_gang_that_cannot_be_whole_evicts_nobody() -> None:
    """Its second part does not fit whoever goes."""
    there = [tenant("a", 4)]
    gang = Gang("g", 2)

    assert preempt(full_node(*there), there, [urgent(3, gang=gang), urgent(4, gang=gang)], POLICY) == []
