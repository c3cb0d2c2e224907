"""Filters and scorers of others: heeded where they answer well, left out where they do not, and never fatal."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model import POLICY, asks, batches, fleets

from pathfinder.domain.messages import Kind
from pathfinder.scheduling import explain, plan, resilience
from pathfinder.scheduling.bounded import LATE, Bounded
from pathfinder.scheduling.fleet import Fleet, NodeState
from pathfinder.scheduling.place import decide, place
from pathfinder.scheduling.plugins import PluginFilter, PluginScorer
from pathfinder.scheduling.policy import POLICIES, Policy
from pathfinder.scheduling.preempt import preempt
from pathfinder.scheduling.request import Ask, Request

LONG = 60.0  # never waited for


def scorer(of: Any) -> PluginScorer:
    """A scorer of others."""
    return PluginScorer("theirs", of, Bounded("test", LONG))


def rule(of: Any) -> PluginFilter:
    """A filter of others."""
    return PluginFilter("theirs", of, Bounded("test", LONG))


def with_scorer(policy: Policy, of: Any) -> Policy:
    """The policy with one more scorer, which outweighs the others."""
    return replace(policy, scorers=(*policy.scorers, (scorer(of), 100.0)))


def with_filter(policy: Policy, of: Any) -> Policy:
    """The policy with one more filter."""
    return replace(policy, filters=(*policy.filters, rule(of)))


def raises(error: BaseException) -> Callable[[Fleet, Ask], Any]:
    """A plugin that raises."""

    def plugin(fleet: Fleet, ask: Ask) -> Any:
        raise error

    return plugin


def writes(fleet: Fleet, ask: Ask) -> Any:
    """Changes what it was only shown."""
    fleet.claimed[:] = 0
    return np.ones(len(fleet))


def by_the_best(fleet: Fleet, ask: Ask) -> Any:
    """Compares nodes, which no scorer may."""
    numbers = 1.0 + np.char.str_len(fleet.hostnames.astype(str)) + (fleet.hostnames == "node-0")
    return numbers / numbers.max()


BAD_SCORES: dict[str, tuple[Any, str]] = {
    "raises": (raises(ValueError("no such rack")), "raised ValueError: no such rack"),
    "exits": (raises(SystemExit(3)), "raised SystemExit: 3"),
    "list": (lambda fleet, ask: [0.5] * len(fleet), "gave list instead of an array"),
    "nothing": (lambda fleet, ask: None, "gave NoneType instead of an array"),
    "shape": (lambda fleet, ask: np.ones((len(fleet), 2)), "instead of ("),
    "short": (lambda fleet, ask: np.ones(len(fleet) + 1), "instead of ("),
    "texts": (lambda fleet, ask: np.full(len(fleet), "1"), "instead of numbers"),
    "nan": (lambda fleet, ask: np.full(len(fleet), np.nan), "not a finite number"),
    "infinite": (lambda fleet, ask: np.full(len(fleet), np.inf), "not a finite number"),
    "too much": (lambda fleet, ask: np.full(len(fleet), 7), "gave scores from 7 to 7 instead of 0 to 1"),
    "negative": (lambda fleet, ask: np.full(len(fleet), -0.5), "gave scores from -0.5"),
    "writes": (writes, "raised ValueError: assignment destination is read-only"),
}
BAD_MASKS: dict[str, tuple[Any, str]] = {
    "raises": (raises(KeyError("rack")), "raised KeyError: 'rack'"),
    "numbers": (lambda fleet, ask: np.zeros(len(fleet)), "an array of float64 instead of bool"),
    "shape": (lambda fleet, ask: np.zeros(1 + len(fleet), dtype=np.bool_), "instead of ("),
    "bool": (lambda fleet, ask: False, "gave bool instead of an array"),
}
TWO = [
    NodeState(f"id-{n}", f"node-{n}", True, True, *([resources] * 2), 0, 0, {})
    for n, resources in enumerate([Ask().resources] * 2)
]


@pytest.mark.parametrize("kind", BAD_SCORES)
@settings(max_examples=25)
@given(nodes=fleets(), requests=batches(), policy=POLICY)
def test_a_scorer_that_fails_counts_for_nothing(
    kind: str, nodes: list[NodeState], requests: list[Request], policy: Policy
) -> None:
    """Everything goes where it would go without it, and the fault is told in words."""
    of, words = BAD_SCORES[kind]
    fleet = Fleet.of(nodes)
    decisions, tried = decide(fleet, requests, with_scorer(policy, of), 1)

    assert decisions == place(fleet, requests, policy, 1)
    # It is not even asked where no node is possible; an empty array has no bad numbers.
    assert all(str(fault).startswith("scorer theirs: ") and words in str(fault) for fault in tried.faults)
    if any(one.index is not None for one in decisions) and len(nodes) > len(requests) + 3:
        assert len(tried.faults) == 1
    for one in decisions:
        stored = explain.document([one], tried.policy, len(nodes), [str(fault) for fault in tried.faults])
        assert explain.recompute(stored, one.request.id) == (None if one.index is None else nodes[one.index].hostname)


@pytest.mark.parametrize("kind", BAD_MASKS)
@settings(max_examples=25)
@given(nodes=fleets(), requests=batches(), policy=POLICY)
def test_a_filter_that_fails_lets_everything_pass(
    kind: str, nodes: list[NodeState], requests: list[Request], policy: Policy
) -> None:
    """As if the policy did not name it."""
    of, words = BAD_MASKS[kind]
    fleet = Fleet.of(nodes)
    decisions, tried = decide(fleet, requests, with_filter(policy, of), 1)

    assert decisions == place(fleet, requests, policy, 1)
    if requests:
        (fault,) = tried.faults
        assert str(fault).startswith("filter theirs: ")
        assert words in str(fault)


@given(nodes=fleets(), requests=batches(), policy=POLICY, after=st.integers(1, 6))
def test_what_it_said_before_it_failed_counts_for_nothing_either(
    nodes: list[NodeState], requests: list[Request], policy: Policy, after: int
) -> None:
    """Half a batch by it and half without would be a policy nobody wrote."""
    calls = iter(range(1_000_000))

    def fickle(fleet: Fleet, ask: Ask) -> Any:
        if next(calls) >= after:
            raise OSError("gone")
        return (fleet.hostnames == "node-1").astype(float)

    decisions, tried = decide(Fleet.of(nodes), requests, with_scorer(policy, fickle), 1)

    if tried.faults:
        assert decisions == place(Fleet.of(nodes), requests, policy, 1)


@given(nodes=fleets(), requests=batches(), policy=POLICY)
def test_a_built_in_filter_from_a_package_decides_the_same(
    nodes: list[NodeState], requests: list[Request], policy: Policy
) -> None:
    """Being somebody else's costs nothing but time."""
    theirs = replace(
        policy,
        filters=tuple(PluginFilter(one.name, one, Bounded("test", LONG)) for one in policy.filters),
        scorers=tuple((PluginScorer(one.name, one, Bounded("test", LONG)), weight) for one, weight in policy.scorers),
    )
    decisions, tried = decide(Fleet.of(nodes), requests, theirs, 1)

    assert not tried.faults
    assert [one.index for one in decisions] == [one.index for one in place(Fleet.of(nodes), requests, policy, 1)]


def test_a_scorer_that_compares_nodes_is_found_out() -> None:
    """A node's score may depend on that node alone."""
    _, tried = decide(Fleet.of(TWO), [Request("a")], with_scorer(SPREAD, by_the_best), 1)

    assert [str(one) for one in tried.faults] == ["scorer theirs: its answer for a node depends on the other nodes"]


SPREAD = POLICIES["spread"]


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """What hangs waits for this; set at the end, so that nothing hangs longer than its test."""
    event = threading.Event()
    yield event
    event.set()


def test_what_hangs_is_waited_for_once_until_it_comes_back(stuck: threading.Event) -> None:
    """It is off in the meantime, at no cost; then it is heeded again."""
    calls = Bounded("test", 0.01)
    asked = []

    def hangs(fleet: Fleet, ask: Ask) -> Any:
        asked.append(ask)
        stuck.wait()
        return np.ones(len(fleet))

    policy = replace(SPREAD, scorers=(*SPREAD.scorers, (PluginScorer("theirs", hangs, calls), 1.0)))
    faults = []
    for _ in range(5):
        decisions, tried = decide(Fleet.of(TWO), [Request("a")], policy, 1)
        assert decisions == place(Fleet.of(TWO), [Request("a")], SPREAD, 1)
        faults += map(str, tried.faults)
    assert len(asked) == 1
    assert faults[0].startswith("scorer theirs: did not answer within 0.01 s")
    assert all(one.startswith("scorer theirs: is off in this process") for one in faults[1:])

    late = calls._out
    assert late is not None
    stuck.set()
    assert late.done.wait(LONG)
    calls._seconds = LONG
    assert not decide(Fleet.of(TWO), [Request("a")], policy, 1)[1].faults


def test_what_is_late_again_and_again_is_off(stuck: threading.Event) -> None:
    """Nobody waits for it for ever."""
    calls = Bounded("test", 0.001)
    for _ in range(LATE):
        event = threading.Event()
        with pytest.raises(TimeoutError, match="did not answer"):
            calls.call(event.wait)
        late = calls._out
        event.set()
        assert late is not None
        assert late.done.wait(LONG)

    with pytest.raises(TimeoutError, match="until this process starts anew"):
        calls.call(lambda: 1)


def test_what_takes_too_long_altogether_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call may be short and all of them together not."""
    monkeypatch.setattr("pathfinder.scheduling.plugins.BATCH_SECONDS", -1.0)
    _, tried = decide(Fleet.of(TWO), [Request("a")], with_scorer(SPREAD, lambda fleet, ask: np.ones(len(fleet))), 1)

    assert "for one batch" in str(tried.faults[0])


def test_a_filter_says_why_and_when_to_ask_again() -> None:
    """Or, if it does not, its name, and after everything."""

    class Odd:
        wakes = ("node.updated",)
        lasting = True

        def mask(self, fleet: Fleet, ask: Ask) -> Any:
            return np.zeros(len(fleet), dtype=np.bool_)

        def reason(self, fleet: Fleet, ask: Ask, rejected: Any) -> str:
            return f"{int(rejected.sum())} of {len(fleet)} are odd"

    (decision,), _ = decide(Fleet.of(TWO), [Request("a")], with_filter(SPREAD, Odd()), 1)
    assert decision.rejected[0].reason == "2 of 2 are odd"
    assert decision.rejected[0].wakes == {Kind.NODE_UPDATED}

    def none(fleet: Fleet, ask: Ask) -> Any:
        return np.zeros(len(fleet), dtype=np.bool_)

    (decision,), _ = decide(Fleet.of(TWO), [Request("a")], with_filter(SPREAD, none), 1)
    assert decision.rejected[0].reason == "rejected by theirs"
    assert decision.rejected[0].wakes == frozenset(Kind)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (lambda fleet, ask, rejected: 5, "its reason is int instead of text"),
        (lambda fleet, ask, rejected: rejected["no"], "its reason raised IndexError"),
    ],
)
def test_a_reason_that_fails_changes_no_decision(reason: Any, words: str) -> None:
    """It is only asked for where somebody wants to know why."""

    class Silent:
        def mask(self, fleet: Fleet, ask: Ask) -> Any:
            return np.zeros(len(fleet), dtype=np.bool_)

    silent = Silent()
    silent.reason = reason  # type: ignore[attr-defined]
    policy = with_filter(SPREAD, silent)
    (decision,), tried = decide(Fleet.of(TWO), [Request("a")], policy, 1)

    assert (decision.index, tried.faults) == (None, ())
    assert decision.rejected[0].reason.startswith("rejected by theirs (")
    assert words in decision.rejected[0].reason
    assert place(Fleet.of(TWO), [Request("a")], policy, 1, explain=False)[0].index is None


def test_plans_surveys_and_making_room_survive_it_too() -> None:
    """Whoever decides by a policy."""
    bad = replace(with_filter(SPREAD, raises(ValueError("x"))), preemption=True)
    fleet, requests = Fleet.of(TWO), [Request("a")]

    assert plan.create(fleet, [plan.Wanted(requests[0], bad)], 1).fits
    assert preempt(fleet, [], requests, bad) == []
    there = [resilience.Resident("id-0", requests[0])]
    assert resilience.survey(TWO, there, bad, "zone").survives()


@given(fleets(), asks(company=False))
def test_no_plugin_is_shown_anything_it_could_change(nodes: list[NodeState], ask: Ask) -> None:
    """Columns are read-only, whatever the fleet."""
    seen: list[Fleet] = []
    rule(lambda fleet, ask: seen.append(fleet) or np.ones(len(fleet), dtype=np.bool_)).mask(Fleet.of(nodes), ask)

    columns = [one for one in vars(seen[0]).values() if isinstance(one, np.ndarray)]
    assert len(columns) > 10
    assert not any(one.flags.writeable for one in columns)
    assert not seen[0].names.label("zone")[0].flags.writeable
