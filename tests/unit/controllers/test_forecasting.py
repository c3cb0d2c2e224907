"""Forecasts of a load, and when there is none."""

from collections.abc import Callable
from datetime import UTC, datetime
from math import pi, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathfinder.controllers.forecasting import SLOT_SECONDS, Forecast, forecast
from pathfinder.controllers.schedules import floor
from pathfinder.domain.autoscaling import ScheduleMetric

DAY = 86_400.0
START = datetime(2026, 1, 5, tzinfo=UTC).timestamp()  # a Monday

Course = Callable[[float], float]


def points(course: Course, days: float, noise: float = 0, seed: int = 1) -> list[tuple[float, float]]:
    random = np.random.default_rng(seed)
    at = START + np.arange(0, days * DAY, SLOT_SECONDS)
    return [(one, max(course(one) + noise * random.standard_normal(), 0.0)) for one in at.tolist()]


def daily(at: float) -> float:
    return 200 + 150 * sin(2 * pi * (at - START) / DAY)


def working_days(at: float) -> float:
    return 300.0 if (at - START) // DAY % 7 < 5 and 8 <= (at - START) % DAY / 3600 < 18 else 50.0


def told(found: Forecast | str) -> Forecast:
    assert isinstance(found, Forecast), found
    return found


@pytest.mark.parametrize("hour", [3, 9, 15, 21])
def test_a_daily_course_is_known_ahead_through_noise(hour: int) -> None:
    """An hour ahead, the peak is foretold to a tenth, whichever way the load goes."""
    now = START + 7 * DAY + hour * 3600
    history = [one for one in points(daily, 8, noise=8) if one[0] < now]

    found = told(forecast(history, now, 3600))

    truth = max(daily(now + ahead) for ahead in range(0, 3600, 300))
    assert found.peak == pytest.approx(truth, rel=0.1, abs=25)
    assert found.error < found.naive_error


def test_monday_morning_is_foretold_from_mondays_not_from_sunday() -> None:
    """With weeks recorded, the weekly course is chosen where days differ."""
    now = START + 21 * DAY + 7.9 * 3600

    found = told(forecast([one for one in points(working_days, 22, noise=5) if one[0] < now], now, 1800))

    assert found.season == "week"
    assert found.peak == pytest.approx(300, rel=0.15)


def test_a_busier_day_is_foretold_busier() -> None:
    """How today compares with the days before is seen in the last hour."""
    now = START + 5 * DAY + 2 * 3600

    def grown(at: float) -> float:
        return daily(at) * (1.5 if at >= START + 5 * DAY else 1.0)

    found = told(forecast([one for one in points(grown, 6) if one[0] < now], now, 3600))

    assert found.peak == pytest.approx(max(grown(now + ahead) for ahead in range(0, 3600, 300)), rel=0.1)


def test_of_what_has_no_season_nothing_is_said() -> None:
    """A walk at random, and a load that stays, are told best by what they are now."""
    steps = np.random.default_rng(3).standard_normal(10 * 288).cumsum() * 10 + 2000
    walk = [(START + row * SLOT_SECONDS, float(one)) for row, one in enumerate(steps)]

    assert isinstance(forecast(walk, START + 10 * DAY, 600), str)
    assert isinstance(forecast(points(lambda _: 100.0, 10), START + 10 * DAY, 600), str)


def test_little_history_and_holes_are_told_apart_and_not_guessed_from() -> None:
    """A day and a half is too little; a hole of a few hours is bridged by the other days."""
    now = START + 6 * DAY
    hole = [one for one in points(daily, 6) if not START + 4.2 * DAY < one[0] < START + 4.4 * DAY]

    assert "learnt from 48" in str(forecast(points(daily, 1.5), START + 1.5 * DAY, 600))
    assert "0 hours" in str(forecast([], now, 600))
    assert told(forecast(hole, now, 600)).season == "day"
    assert isinstance(forecast(points(daily, 2)[:40] + points(daily, 6)[-40:], now, 600), str)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.floats(START, START + 9 * DAY), st.floats(0, 1e9) | st.just(float("nan"))), max_size=50),
    st.floats(60, 7200),
)
def test_nothing_that_was_recorded_breaks_it(odd: list[tuple[float, float]], ahead: float) -> None:
    """Times twice, out of order, of the future, and values that are none: what comes out is finite or a reason."""
    found = forecast(points(daily, 8) + odd, START + 8 * DAY, ahead)

    assert isinstance(found, str) or np.isfinite(found.values).all()


@pytest.mark.parametrize(
    ("moment", "replicas"),
    [
        ("2026-03-27T06:59:59+00:00", 0),
        ("2026-03-27T07:00:00+00:00", 5),
        ("2026-03-27T15:59:59+00:00", 5),
        ("2026-03-27T16:00:00+00:00", 0),
        ("2026-03-28T10:00:00+00:00", 0),
        # Summer time has begun by this Monday.
        ("2026-03-30T06:00:00.5+00:00", 5),
        ("2026-03-30T05:59:59+00:00", 0),
    ],
)
def test_a_schedule_holds_from_its_start_for_as_long_as_it_says(moment: str, replicas: int) -> None:
    """In its own time zone, whose summer time is minded."""
    metric = ScheduleMetric.model_validate(
        {
            "type": "schedule",
            "cron": "0 8 * * 1-5",
            "duration_seconds": 9 * 3600,
            "replicas": 5,
            "time_zone": "Europe/Berlin",
        }
    )

    assert floor(metric, datetime.fromisoformat(moment)).replicas == replicas
