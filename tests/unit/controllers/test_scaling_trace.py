"""Traces played through scaling rules; and that scaling does not flap."""

from typing import Any

import pytest

from benchmarks.flapping import courses
from benchmarks.traces import made
from pathfinder.controllers.scaling_trace import Trace, by_rules, read, run
from pathfinder.domain.autoscaling import Autoscaling


def rules(**given: Any) -> Autoscaling:
    return Autoscaling.model_validate({"min": 1, "max": 20, "metrics": [{"type": "cpu", "target_percent": 70}]} | given)


def trace(*loads: float, step: float = 300) -> Trace:
    return Trace(tuple(step * row for row in range(len(loads))), {"cpu": loads})


@pytest.mark.parametrize("kind", ["noisy", "stepped", "spiky"])
@pytest.mark.parametrize("seed", [1, 2])
def test_it_turns_back_far_less_often_than_the_plain_ratio_and_is_short_no_longer(kind: str, seed: int) -> None:
    """A fifth of the reversals at most, and no more time with too few replicas."""
    found = courses(made(kind, seed))
    plain, ours = found["plain ratio"], found["Pathfinder"]

    assert ours.reversals <= plain.reversals / 5
    assert ours.short_seconds <= plain.short_seconds


def test_a_load_that_grows_and_stays_is_answered_once() -> None:
    """From what two can do to what ten can: one step up, none back, short only until the new ones are ready."""
    by, load = rules(), trace(140, 140, 700, 700, 700)

    course = run(by, load, by_rules(by, load), ready_after_seconds=30)

    assert course.wanted[0] == 2
    assert course.wanted[-1] == 10
    assert course.reversals == 0
    assert course.short_seconds <= 90


def test_with_a_forecast_the_morning_finds_replicas_ready() -> None:
    """On the third day of the same steep morning, it is short for less time than it is without a forecast."""
    day = [100.0] * 96 + [900.0] * 96 + [100.0] * 96
    load = trace(*day * 3)
    slow = {"ready_after_seconds": 300.0}
    plain, ahead = rules(), rules(predictive={"ahead_seconds": 600})

    without = run(plain, load, by_rules(plain, load), step_seconds=60, **slow)
    with_it = run(ahead, load, by_rules(ahead, load), step_seconds=60, **slow)

    last_day = slice(2 * 1440, 3 * 1440)
    short = [
        sum(r < n for r, n in zip(one.ready[last_day], one.needed[last_day], strict=True)) for one in (without, with_it)
    ]
    assert short[0] > 0
    assert short[1] == 0


def test_a_metric_that_the_trace_lacks_is_unknown_and_a_schedule_needs_none() -> None:
    """Nothing shrinks for want of a column; a schedule goes by the trace's own time."""
    by = rules(
        metrics=[
            {"type": "memory", "target_percent": 50},
            {"type": "schedule", "cron": "*/30 * * * *", "duration_seconds": 600, "replicas": 6},
        ],
        down={"stabilisation_seconds": 0},
    )
    load = trace(10, 10, 10, 10)

    assert run(by, load, by_rules(by, load)).wanted[-1] == 6


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "no rows"),
        ([{"time": "0", "cpu": "1"}], "heading"),
        ([{"seconds": "0"}], "heading"),
        ([{"seconds": "0", "cpu": "1"}, {"seconds": "0", "cpu": "1"}], "line 3: 0 seconds"),
        ([{"seconds": "0", "cpu": "much"}], "line 2: cpu is 'much'"),
        ([{"seconds": "0", "cpu": "-1"}], "line 2: cpu is -1"),
        ([{"seconds": "nan", "cpu": "1"}], "line 2: seconds is nan"),
    ],
)
def test_a_trace_that_cannot_be_read_is_told_by_its_line(rows: list[dict[str, str]], words: str) -> None:
    """Whoever wrote it knows where to look."""
    with pytest.raises(ValueError, match=words):
        read(rows)
