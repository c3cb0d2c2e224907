"""Replays: recorded workloads, measured as they would have gone under another policy."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model import POLICY

from pathfinder.domain.asking import Affinity, Budget
from pathfinder.domain.resources import Resources
from pathfinder.domain.selectors import Selector
from pathfinder.scheduling.compaction import nodes_needed
from pathfinder.scheduling.fleet import NodeState
from pathfinder.scheduling.policy import POLICIES, Policy
from pathfinder.scheduling.replay import MOMENTS, replay
from pathfinder.scheduling.request import Ask, Gang
from pathfinder.scheduling.workload import Change, Item, Workload

SPREAD, BINPACK = POLICIES["spread"], POLICIES["binpack"]


def nodes(count: int, cpu: int = 8000, memory: int = 8) -> list[NodeState]:
    """Equal, empty nodes."""
    return [
        NodeState(f"id-{n}", f"n-{n}", True, True, Resources(cpu, memory, 100), Resources(), 0, 0, {})
        for n in range(count)
    ]


def item(name: str, arrives: float, ends: float = float("inf"), *, cpu: int = 1000, memory: int = 1) -> Item:
    """A container of one core."""
    return Item(name, Ask(Resources(cpu, memory)), arrives, ends)


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    """A few containers on a few nodes that come and go."""
    items = [
        item(
            f"c-{n}",
            start := draw(st.floats(-5, 50)),
            draw(st.one_of(st.just(float("inf")), st.floats(max(start, 0), 60))),
            cpu=draw(st.sampled_from([0, 1000, 5000])),
        )
        for n in range(draw(st.integers(0, 12)))
    ]
    count = draw(st.integers(1, 3))
    changes = [
        Change(draw(st.floats(0, 60)), f"n-{draw(st.integers(0, count - 1))}", draw(st.sampled_from([True, False])))
        for _ in range(draw(st.integers(0, 4)))
    ]
    return Workload(nodes(count), items, sorted(changes, key=lambda one: one.at), 60.0)


@settings(max_examples=50, deadline=None)
@given(workloads(), POLICY)
def test_every_container_is_accounted_for_and_a_replay_can_be_repeated(workload: Workload, policy: Policy) -> None:
    """All that came either found a place or never did; shares are shares, of which an overcommit makes as many as it
    says; equal arguments give equal results.
    """
    result = replay(workload, policy, 1, 2, clock=lambda: 0.0)

    came = sum(0 < one.arrives < one.ends for one in workload.items)
    assert len(result.pending) == came
    assert 0 <= result.never <= len(workload.items)
    assert all(0 <= seconds <= 60 for seconds in result.pending)
    cpu, memory, _ = policy.overcommit
    for name, most in (("cpu", cpu), ("memory", memory), ("stranded_cpu", 1), ("stranded_memory", 1)):
        assert all(0 <= share <= max(1, most) for share in result.series[name])
    assert all(len(column) == MOMENTS for column in result.series.values())
    assert result.needed.least <= result.needed.nodes <= result.needed.most <= result.needed.of
    assert result == replay(workload, policy, 1, 2, clock=lambda: 0.0)


def test_room_that_comes_ends_a_wait() -> None:
    """The second container waits until the first is gone, the third for ever."""
    items = [item("a", -1, 30, cpu=8000), item("b", 10, cpu=8000), item("c", 20, cpu=8000)]

    result = replay(Workload(nodes(1), items, [], 60.0), SPREAD, 0, 1)

    assert sorted(result.pending) == [20.0, 40.0]
    assert (result.never, result.containers) == (1, 3)
    assert result.series["waiting"][-1] == 1


def test_who_waits_for_company_goes_when_it_comes() -> None:
    """Though nothing became free."""
    web = (("app", "web"),)
    wish = Affinity(Selector.parse("app=web"))
    items = [
        Item("first", Ask(Resources(1000), affinities=(wish,)), 5.0),
        Item("web", Ask(Resources(1000), labels=web), 30.0),
    ]

    result = replay(Workload(nodes(2), items, [], 60.0), SPREAD, 0, 1)

    assert sorted(result.pending) == [0.0, 25.0]


def test_what_a_dead_node_held_goes_elsewhere_and_what_is_stateful_waits_for_it() -> None:
    """As healing does it."""
    stateful = replace(item("db", -1), ask=Ask(Resources(1000, 1), stateful=True))
    items = [item("a", -1), item("b", -1), stateful]
    down = [Change(10.0, "n-0", ready=False)]

    result = replay(Workload(nodes(2), items, down, 60.0), SPREAD, 0, 1)

    assert result.never == 0
    assert result.series["nodes_used"][0] == 2
    assert result.series["nodes_used"][-1] == 1


def test_a_gang_is_placed_whole_and_then_its_containers_are_like_any_other() -> None:
    """Neither half of it before there is room for both; and when a node dies, each goes on alone."""
    gang = Gang("g", 2)
    items = [item("a", -1, 20, cpu=8000), *(replace(item(name, 5, cpu=8000), gang=gang) for name in ("b", "c"))]

    result = replay(Workload(nodes(2), items, [Change(40.0, "n-0", ready=False)], 60.0), SPREAD, 0, 1)

    # One of them waits for the rest of the span again, or is the one on the node that lives.
    assert sorted(result.pending) == [15.0, 35.0]
    assert result.never == 1


def test_a_node_that_comes_later_takes_nothing_before() -> None:
    """It is not ready until then."""
    late = replace(nodes(1)[0], ready=False)

    result = replay(Workload([late], [item("a", 5)], [Change(25.0, "n-0", ready=True)], 60.0), SPREAD, 0, 1)

    assert result.pending == (20.0,)


def test_policies_are_told_apart() -> None:
    """Filling nodes up leaves them uneven, and uses few."""
    items = [item(f"c-{n}", n + 1.0) for n in range(8)]
    workload = Workload(nodes(4), items, [], 60.0)

    spread, binpack = replay(workload, SPREAD, 0), replay(workload, BINPACK, 0)

    assert (spread.series["nodes_used"][-1], binpack.series["nodes_used"][-1]) == (4, 1)
    assert spread.means["imbalance"] < binpack.means["imbalance"]


def test_cpu_on_nodes_without_memory_is_stranded() -> None:
    """Half of the cpu is free where no memory is left."""
    items = [item("a", -1, cpu=4000, memory=8)]

    result = replay(Workload(nodes(1), items, [], 60.0), SPREAD, 0, 1)

    assert result.means["stranded_cpu"] == pytest.approx(0.5)
    assert result.means["stranded_memory"] == 0.0


@pytest.mark.parametrize("policy", list(POLICIES.values()), ids=list(POLICIES))
def test_compaction_finds_the_nodes_that_are_needed(policy: Policy) -> None:
    """Sixteen containers of a quarter of a node need four nodes, whichever are taken away; two of twelve are spare."""
    items = [item(f"c-{n}", 0, cpu=2000, memory=2) for n in range(16)]

    needed = nodes_needed(Workload(nodes(12), items, [], 60.0), policy, 7)

    assert (needed.nodes, needed.least, needed.most, needed.of) == (4, 4, 4, 12)


def test_what_fits_nowhere_is_left_out_of_the_compaction() -> None:
    """And the peak is the moment of the most that was asked for at once."""
    giant = Item("giant", Ask(Resources(1000), constraints=Selector.parse("zone=x")), 0)
    items = [giant, item("early", 0, 10), item("a", 20, 40, cpu=8000), item("b", 25, 45, cpu=8000)]

    needed = nodes_needed(Workload(nodes(3), items, [], 60.0), SPREAD, 0, 3)

    assert (needed.nodes, needed.containers, needed.left_out, needed.at) == (2, 2, 1, 25.0)


def urgent(name: str, arrives: float, *, cpu: int = 8000, gang: Gang | None = None) -> Item:
    """One that others give way to, if the policy lets them."""
    return Item(name, Ask(Resources(cpu, 1), priority=5), arrives, gang=gang)


def test_two_policies_that_differ_in_preemption_alone_do_not_do_the_same() -> None:
    """With it the urgent one does not wait, and the other waits in its place, to the end."""
    workload = Workload(nodes(1), [item("low", 10, cpu=8000), urgent("high", 20)], [], 60.0)

    without, with_it = (replay(workload, replace(SPREAD, preemption=on), 0, 1) for on in (False, True))

    assert without.pending == (0.0, 40.0)
    assert with_it.pending == (40.0, 0.0)
    assert without.never == with_it.never == 1


def test_budgets_hold_and_gangs_are_whole_in_a_replay() -> None:
    """One of the two may go: not enough for a gang of two, enough for one that is alone."""
    budget = Budget(Selector.parse("app=x"), 1)
    low = [
        Item(f"low-{n}", Ask(Resources(8000, 1), labels=(("app", "x"),)), -1, budget=budget if n else None)
        for n in range(2)
    ]
    gang = [urgent(f"gang-{n}", 10, gang=Gang("g", 2)) for n in range(2)]
    policy = replace(SPREAD, preemption=True)

    bound = replay(Workload(nodes(2), [*low, *gang], [], 60.0), policy, 0, 1)
    alone = replay(Workload(nodes(2), [*low, urgent("high", 10)], [], 60.0), policy, 0, 1)
    free = replay(Workload(nodes(2), [*(replace(one, budget=None) for one in low), *gang], [], 60.0), policy, 0, 1)

    assert bound.pending == (50.0, 50.0)
    assert alone.pending == (0.0,)
    assert free.pending == (0.0, 0.0)


def test_who_waits_twice_is_counted_once() -> None:
    """Its node dies, and another comes back after ten seconds: all it waited is one number."""
    changes = [Change(20, "n-0", False), Change(30, "n-0", True)]

    result = replay(Workload(nodes(1), [item("a", 10)], changes, 60.0), SPREAD, 0, 1)

    assert result.pending == (10.0,)
