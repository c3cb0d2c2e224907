"""How many replicas a deployment shall have, as a pure function."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathfinder.controllers.autoscale import Decision, Memory, Seen, decide
from pathfinder.controllers.wishes import Count, Floor, Level, PerReplica, Reading, Total, Unknown, Wish
from pathfinder.domain.autoscaling import Autoscaling

STEP = 15.0
CPU = {"type": "cpu", "target_percent": 70}


def rules(**given_: Any) -> Autoscaling:
    return Autoscaling.model_validate({"min": 1, "max": 20, "metrics": [CPU]} | given_)


AT_ONCE = {"stabilisation_seconds": 0, "rates": []}
QUICK = rules(up=AT_ONCE, down=AT_ONCE)


def look(
    readings: Reading | tuple[Reading, ...],
    wanted: int,
    *,
    ready: int | None = None,
    by: Autoscaling = QUICK,
    memory: Memory | None = None,
    at: float = 0.0,
    forecast: Wish | None = None,
) -> Decision:
    ready = wanted if ready is None else ready
    given_ = readings if isinstance(readings, tuple) else (readings,)
    return decide(by, memory or Memory(), Seen(at, Count(wanted, ready), given_, forecast))


def cpu(*values: float) -> PerReplica:
    return PerReplica("cpu", 70, values)


class TestTheRatio:
    """Replicas times what is, over what shall be."""

    @pytest.mark.parametrize(
        ("readings", "wanted", "replicas"),
        [
            (cpu(140, 140), 2, 4),
            (cpu(35, 35, 35, 35), 4, 2),
            (cpu(70, 71), 2, 2),
            (cpu(76, 76), 2, 2),
            (cpu(0), 1, 1),
            (Total("queue", 10, 95), 3, 10),
            (Total("queue", 10, 31), 3, 3),
            (Total("queue", 10, 0), 3, 1),
            (Level("latency", 0.2, 0.5), 4, 10),
            (Level("latency", 0.2, 0.1), 4, 2),
            (Floor("morning", 7), 2, 7),
        ],
    )
    def test_it_gives_the_least_that_is_enough(self, readings: Reading, wanted: int, replicas: int) -> None:
        """Within the tolerance nothing changes; outside it the number is rounded up."""
        assert look(readings, wanted).replicas == replicas

    def test_the_largest_wish_wins(self) -> None:
        """Enough for every metric is enough for each."""
        assert look((cpu(70, 70), Total("queue", 10, 85), Floor("morning", 4)), 2).replicas == 9

    def test_none_at_all_is_woken_by_a_total_only(self) -> None:
        """With min 0, what waits in a queue brings the first replica."""
        by = rules(min=0, metrics=[{"type": "http", "url": "http://q", "target_per_replica": 10}], up=AT_ONCE)

        assert look(Total("http", 10, 0), 0, by=by).replicas == 0
        assert look(Total("http", 10, 1), 0, by=by).replicas == 1


class TestWhatIsNotKnown:
    """Missing data never shrinks a deployment, and never makes it grow out of bounds."""

    def test_of_whom_nothing_is_known_is_idle_when_more_are_wished_for(self) -> None:
        """Two of four at twice the target: with two idle ones beside them that is just right."""
        assert look(cpu(140, 140), 4).replicas == 4

    def test_of_whom_nothing_is_known_is_busy_when_fewer_are_wished_for(self) -> None:
        """Two of four idle, two unknown: at most the idle ones go."""
        assert look(cpu(0, 0), 4).replicas == 2

    def test_replicas_that_are_not_ready_yet_are_waited_for(self) -> None:
        """The ones that were asked for a moment ago will take their part of the load."""
        assert look(cpu(140, 140), 4, ready=2).replicas == 4

    def test_a_metric_that_cannot_be_told_keeps_it_from_shrinking_not_from_growing(self) -> None:
        """Somebody may need the replicas whose metric is away; who needs more is told by the others."""
        away = Unknown("queue", "connection refused")

        held = look((cpu(10, 10, 10), away), 3)

        assert (held.replicas, held.held) == (3, "not fewer, because queue cannot be told")
        assert look((cpu(140, 140, 140), away), 3).replicas == 6

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
    def test_rubbish_counts_as_unknown(self, value: float) -> None:
        """What no replica can use is no reason for anything."""
        assert look(Total("queue", 10, value), 3).replicas == 3
        assert look(cpu(value, value, value), 3).replicas == 3

    def test_nothing_known_at_all_changes_nothing_but_what_is_out_of_bounds(self) -> None:
        """Bounds are the user's own word and need no metric."""
        assert look(cpu(), 3).replicas == 3
        assert look(cpu(), 30).replicas == 20


class TestCaution:
    """Windows, rates and cooldowns."""

    def test_it_shrinks_to_the_most_that_was_wished_for_within_the_window(self) -> None:
        """A short dip changes nothing; a long one leads to the highest point within it."""
        by = rules(down={"stabilisation_seconds": 60})
        memory, wanted = Memory.fresh(0, 10), 10
        seen = []
        for turn, wished in enumerate([3, 6, 3, 3, 3, 3, 3, 3], 1):
            found = look(Floor("x", wished), wanted, by=by, memory=memory, at=turn * STEP)
            memory, wanted = found.memory, found.replicas
            seen.append(wanted)

        assert seen == [10, 10, 10, 6, 6, 3, 3, 3]

    def test_without_a_window_the_first_look_of_a_leader_counts(self) -> None:
        """What there was when it began holds nothing up that is to happen at once."""
        assert look(Floor("x", 6), 2, memory=Memory.fresh(5, 2), at=5).replicas == 6

    def test_it_grows_no_faster_than_its_rates(self) -> None:
        """Doubling or four in 15 seconds, whichever is more: 1, 5, 10, 20."""
        by = rules(max=100)
        memory, wanted = Memory.fresh(0, 1), 1
        seen = []
        for turn in range(1, 6):
            found = look(Floor("x", 60), wanted, by=by, memory=memory, at=turn * STEP)
            memory, wanted = found.memory, found.replicas
            seen.append(wanted)

        assert seen == [5, 10, 20, 40, 60]

    def test_a_cooldown_holds_after_a_change_either_way(self) -> None:
        """Whoever grew a moment ago does not shrink at once."""
        by = rules(up=AT_ONCE, down={**AT_ONCE, "cooldown_seconds": 100})
        grown = look(Floor("x", 8), 2, by=by, memory=Memory.fresh(0, 2), at=10)

        assert look(Floor("x", 2), 8, by=by, memory=grown.memory, at=109).replicas == 8
        assert look(Floor("x", 2), 8, by=by, memory=grown.memory, at=110).replicas == 2

    def test_a_direction_can_be_closed(self) -> None:
        """Who only wants to grow by itself says so."""
        by = rules(down={"enabled": False})

        assert look(Floor("x", 1), 8, by=by).replicas == 8

    def test_a_forecast_only_ever_adds(self) -> None:
        """What is needed now is never denied for what will be."""
        assert look(cpu(140, 140), 2, forecast=Wish("forecast", 1)).replicas == 4
        assert look(cpu(70, 70), 2, forecast=Wish("forecast", 9)).replicas == 9
        assert look(Unknown("cpu", "away"), 2, forecast=Wish("forecast", 9)).replicas == 9


NUMBERS = st.floats(min_value=0, max_value=1e6)
READINGS = st.one_of(
    st.lists(NUMBERS, max_size=12).map(lambda values: PerReplica("cpu", 70, tuple(values))),
    NUMBERS.map(lambda value: Total("queue", 10, value)),
    NUMBERS.map(lambda value: Level("latency", 2, value)),
    st.integers(0, 50).map(lambda count: Floor("morning", count)),
    st.just(Unknown("away", "refused")),
)
RATES = st.lists(
    st.one_of(
        st.builds(dict, replicas=st.integers(1, 5), period_seconds=st.sampled_from([15, 60, 300])),
        st.builds(dict, percent=st.integers(1, 200), period_seconds=st.sampled_from([15, 60, 300])),
    ),
    max_size=3,
)
BEHAVIOURS = st.builds(
    dict,
    stabilisation_seconds=st.sampled_from([0, 30, 300]),
    cooldown_seconds=st.sampled_from([0, 45]),
    rates=RATES,
    select=st.sampled_from(["most", "least"]),
)


@st.composite
def all_rules(draw: st.DrawFn) -> Autoscaling:
    least = draw(st.integers(1, 20))
    return rules(
        min=least,
        max=least + draw(st.integers(0, 30)),
        tolerance=draw(st.sampled_from([0, 0.1, 0.5])),
        up=draw(BEHAVIOURS),
        down=draw(BEHAVIOURS),
    )


@settings(deadline=None)
@given(all_rules(), st.lists(st.lists(READINGS, min_size=1, max_size=3), min_size=1, max_size=12), st.integers(0, 60))
def test_bounds_rates_and_cooldowns_are_never_broken(by: Autoscaling, course: list[list[Reading]], wanted: int) -> None:
    """Whatever is measured, the answer is within bounds, no faster than allowed, between what is and what is asked."""
    memory = Memory.fresh(0, wanted)
    history = [(0.0, wanted)]
    for turn, readings in enumerate(course, 1):
        at = turn * STEP
        before, found = wanted, look(tuple(readings), wanted, by=by, memory=memory, at=at)
        memory, wanted = found.memory, found.replicas
        assert by.min <= wanted <= by.max
        assert by.min <= found.asked <= by.max
        if not by.min <= before <= by.max:
            history = [(at, wanted)]  # bounds are brought about at once, and speed counts from there
            memory = replace(memory, changed=())
            continue
        assert min(before, found.asked) <= wanted <= max(before, found.asked)
        _check_speed(by, history, at, before, wanted)
        history.append((at, wanted))


def _check_speed(by: Autoscaling, history: list[tuple[float, int]], at: float, before: int, after: int) -> None:
    if after == before:
        return
    behaviour = by.up if after > before else by.down
    changes = [when for (when, was), (_, old) in zip(history[1:], history, strict=False) if was != old]
    if changes:
        assert at - changes[-1] >= behaviour.cooldown_seconds
    allowed = []
    for rate in behaviour.rates:
        # What there was when the period began: the last that was set before it.
        start = [was for when, was in history if when <= at - rate.period_seconds][-1:] or [history[0][1]]
        by_share = max(start[0], 1) * (rate.percent or 0) / 100
        allowed.append(rate.replicas if rate.replicas is not None else by_share)
        allowed[-1] = abs(after - start[0]) <= allowed[-1] + 1
    if allowed:
        assert (any if behaviour.select == "most" else all)(allowed)


@settings(deadline=None, max_examples=60)
@given(all_rules(), st.floats(min_value=0, max_value=3000), st.integers(1, 50))
def test_a_steady_load_is_answered_once_and_for_all(by: Autoscaling, load: float, wanted: int) -> None:
    """It converges to enough for the load, without turning back, and then looks without changing anything."""
    memory, at = Memory.fresh(0, wanted), 0.0
    course = [wanted]
    for _ in range(130):
        at += 150
        # The load is shared out among those there are, each of which shall have 70.
        found = look(PerReplica("cpu", 70, (load / wanted,) * wanted), wanted, by=by, memory=memory, at=at)
        memory, wanted = found.memory, found.replicas
        course.append(wanted)
    inside = course[1:]

    assert len({*course[-10:]}) == 1
    steps = [b - a for a, b in pairwise(inside) if a != b]
    assert not (any(one > 0 for one in steps) and any(one < 0 for one in steps))
    enough = load / (70 * (1 + by.tolerance))
    assert wanted == by.max or wanted >= enough - 1e-6


@given(all_rules(), st.lists(READINGS, min_size=1, max_size=3), st.integers(0, 60))
def test_the_same_look_gives_the_same_answer(by: Autoscaling, readings: list[Reading], wanted: int) -> None:
    """A look that is made again by another leader, at the same moment with the same memory, decides the same."""
    memory = Memory.fresh(0, wanted)

    first = look(tuple(readings), wanted, by=by, memory=memory, at=STEP)

    assert look(tuple(readings), wanted, by=by, memory=memory, at=STEP) == first
    assert first.document()["metrics"]
