"""The soak's verdict: what grows and what only goes up and down."""

import random

import pytest

from benchmarks.soak import EVERY_SECONDS, FLAT, GROWING, SETTINGS, WARM_UP_SECONDS, judge
from pathfinder.settings import Settings

TIMES = [EVERY_SECONDS * number for number in range(180)]


@pytest.mark.parametrize(
    ("unit", "start", "per_hour", "verdict"),
    [
        ("MiB", 100.0, 0.0, FLAT),
        ("MiB", 100.0, 5.0, FLAT),
        ("MiB", 100.0, 120.0, GROWING),
        ("connections", 40.0, 0.0, FLAT),
        ("rows", 0.0, 7200.0, GROWING),
        ("rows", 5000.0, -3000.0, FLAT),
    ],
)
def test_a_series_is_judged_by_its_thirds(unit: str, start: float, per_hour: float, verdict: str) -> None:
    """Noise as large as a few units changes nothing."""
    noise = random.Random(7)
    values = [start + per_hour * at / 3600 + noise.uniform(-2, 2) for at in TIMES]

    row = judge("it", unit, TIMES, values)

    assert row.figures[-1] == verdict
    assert row.reached == (verdict == FLAT)


def test_what_grows_only_while_it_warms_up_is_flat() -> None:
    """Tables fill until their oldest rows are old enough to go."""
    values = [10.0 * min(at, WARM_UP_SECONDS) for at in TIMES]

    assert judge("events", "rows", TIMES, values).figures[-1] == FLAT


def test_rows_that_are_pruned_now_and_then_are_flat() -> None:
    """They swing, and a third may happen to begin higher than another."""
    values = [1000 + 100 * (at // EVERY_SECONDS % 6) + (130 if at > 1200 else 0) for at in TIMES]

    assert judge("events", "rows", TIMES, values).figures[-1] == FLAT


def test_a_soak_shortens_every_time_for_which_rows_are_kept() -> None:
    """Else a table would grow all the while, as it should, and be called growing."""
    kept = {name for name in Settings.model_fields if name.startswith("keep_") and name.endswith("_days")}

    assert {f"PATHFINDER_{name.upper()}" for name in kept} <= SETTINGS.keys()
