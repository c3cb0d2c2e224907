"""Plans: what is said to happen is what `place()` does, and nothing is done."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from model import POLICY, Model, asks, batches, fleets

from pathfinder.domain.resources import Resources
from pathfinder.domain.selectors import Selector
from pathfinder.scheduling import plan
from pathfinder.scheduling.fleet import Fleet, NodeState
from pathfinder.scheduling.place import place
from pathfinder.scheduling.plan import Crowd, Wanted
from pathfinder.scheduling.policy import POLICIES, Policy
from pathfinder.scheduling.preempt import Tenant
from pathfinder.scheduling.request import Ask, Request
from pathfinder.scheduling.resilience import Resident, survey

SEEDS = st.integers(0, 2**32 - 1)
MODELS = st.builds(Model.of, fleets(), st.lists(st.tuples(st.integers(0, 4), asks()), max_size=4))
SPREAD = POLICIES["spread"]


def node(name: str, claimed: int = 0, **changes: object) -> NodeState:
    """A ready node with 8 cores, of which some are claimed."""
    state = NodeState(
        *(f"id-{name}", name, True, True, Resources(8000, 8, 8), Resources(claimed), claimed // 1000, 0, {})
    )
    return replace(state, **changes)  # type: ignore[arg-type]


@given(MODELS, batches(), POLICY, SEEDS)
def test_a_plan_for_new_containers_is_what_a_scheduler_does_with_them(
    model: Model, requests: list[Request], policy: Policy, seed: int
) -> None:
    """The most urgent first, as they are taken from the store; and the fleet is left as it was."""
    fleet = model.fleet(requests)
    claimed, containers = fleet.claimed.copy(), fleet.containers.copy()

    made = plan.create(fleet, [Wanted(one, policy) for one in requests], seed)

    taken = sorted(requests, key=lambda one: -one.ask.priority)
    assert list(made.decisions) == place(model.fleet(requests), taken, policy, seed)
    assert (fleet.claimed == claimed).all()
    assert (fleet.containers == containers).all()
    grown = sum(one.containers for one in made.after) - sum(one.containers for one in made.before)
    assert grown == sum(one.index is not None for one in made.decisions)
    assert made.fits == all(one.index is not None for one in made.decisions)


RESIDENTS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0, 1000, 3000]), st.booleans()), max_size=8)


@given(fleets(), RESIDENTS, POLICY)
def test_losing_a_node_is_what_the_survey_says_of_it(
    nodes: list[NodeState], drawn: list[tuple[int, int, bool]], policy: Policy
) -> None:
    """As many would wait, as many are stateful, one node after the other."""
    residents = [
        Resident(nodes[index].id, Request(f"r-{number}", Ask(Resources(cpu), stateful)), stateful)
        for number, (index, cpu, stateful) in enumerate(drawn)
        if index < len(nodes)
    ]
    said = {one.name: one for one in survey(nodes, residents, policy, "zone").of("node")}

    for row, state in enumerate(nodes):
        made = plan.lose(Fleet.of(nodes), [row], residents, dict.fromkeys((r.request.id for r in residents), policy), 0)
        if state.ready:
            loss = said[state.hostname]
            waiting = sum(one.index is None for one in made.decisions)
            assert (len(made.moving), waiting, len(made.staying)) == (loss.containers, loss.waiting, loss.stateful)


def test_a_drained_node_gets_nothing_of_its_own_back() -> None:
    """What is stateful stays; the others go elsewhere as long as there is room."""
    nodes = [node("a", 3000), node("b", 6000)]
    residents = [Resident("id-a", Request(f"c-{n}", Ask(Resources(1000), stateful=n == 0)), n == 0) for n in range(3)]
    residents.append(Resident("id-b", Request("other", Ask(Resources(1000)))))

    made = plan.drain(Fleet.of(nodes), [0], residents, {one.request.id: SPREAD for one in residents}, 0)

    assert [one.index for one in made.decisions] == [1, 1]
    assert (made.moving, made.staying, made.fits) == ({"c-1", "c-2"}, ("c-0",), True)
    assert [(one.node, one.cpu) for one in made.after] == [("b", 1.0)]


def test_containers_that_are_gone_keep_nobody_away() -> None:
    """Those of a lost node do not count as company any more."""
    ask = Ask(Resources(1000))
    nodes = [node("a", 1000), node("b")]
    fleet = Fleet.of(nodes, {}, {})
    residents = [Resident("id-a", Request("c", ask))]

    made = plan.lose(fleet, [0], residents, {"c": SPREAD}, 0)

    assert [one.index for one in made.decisions] == [1]
    assert np.array_equal(fleet.containers, [1, 0])


def test_who_would_give_way_is_told() -> None:
    """Where the policy lets them; the more urgent container still waits for the room."""
    fleet = Fleet.of([node("a", 8000)])
    crowd = Crowd([Tenant("low", 0, Ask(Resources(2000)))])
    urgent = Wanted(Request("high", Ask(Resources(1000), priority=5)), replace(SPREAD, preemption=True))

    made = plan.create(fleet, [urgent], 0, crowd)

    assert not made.fits
    assert [[victim.id for victim in one.victims] for one in made.evictions] == [["low"]]
    assert plan.create(fleet, [replace(urgent, policy=SPREAD)], 0, crowd).evictions == ()


def test_nobody_gives_way_twice_in_one_plan() -> None:
    """Not for two containers of two policies either, and no budget is spent twice."""
    fleet = Fleet.of([node("a", 8000), node("b", 8000)])
    low = [Tenant(f"low-{row}", row, Ask(Resources(8000), labels=(("app", "x"),))) for row in range(2)]
    wanted = [
        Wanted(Request(name, Ask(Resources(8000), priority=5)), replace(POLICIES[name], preemption=True))
        for name in ("spread", "binpack")
    ]

    both = plan.create(fleet, wanted, 0, Crowd(low)).evictions
    bound = plan.create(fleet, wanted, 0, Crowd(low, budgets={Selector.parse("app=x"): 1})).evictions

    assert sorted(victim.id for one in both for victim in one.victims) == ["low-0", "low-1"]
    assert {one.request.id for one in both} == {"spread", "binpack"}
    assert len(bound) == 1


def test_who_would_give_way_to_the_containers_of_a_lost_node_is_told() -> None:
    """As a scheduler would have them go, if the policy of the lost lets it."""
    fleet = Fleet.of([node("a", 8000), node("b", 8000)])
    lost = [Resident("id-a", Request("high", Ask(Resources(8000), priority=5)))]
    crowd = Crowd([Tenant("low", 1, Ask(Resources(8000)))])

    for tell in (plan.lose, plan.drain):
        made = tell(fleet, [0], lost, {"high": replace(SPREAD, preemption=True)}, 0, crowd)

        assert not made.fits
        assert [(one.request.id, one.victims[0].id) for one in made.evictions] == [("high", "low")]
