"""When nodes are set aside, for how long, and how they come back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfinder.controllers import setting_aside
from pathfinder.controllers.setting_aside import LIMIT, Standing, after_failure, after_success

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WELL = Standing(UUID(int=1), UUID(int=8), "node-01")


def fail(standing: Standing, now: datetime = NOW, *, counts: bool = True, may: bool = True) -> Standing:
    """One more failure."""
    return after_failure(standing, "no space", now, counts=counts, may=may)


def test_three_failures_in_a_row_set_a_node_aside_with_the_last_reason() -> None:
    """Two are bad luck."""
    twice = fail(fail(WELL))
    assert (twice.failures, twice.aside_until) == (2, None)

    aside = fail(twice)

    assert aside.aside_until is not None
    assert timedelta(seconds=54) <= aside.aside_until - NOW <= timedelta(seconds=66)
    assert (aside.failures, aside.aside_reason) == (LIMIT, "no space")


def test_a_success_in_between_begins_the_count_anew() -> None:
    """In a row means in a row."""
    assert after_success(fail(fail(WELL))) == WELL


def test_one_bad_container_condemns_no_node() -> None:
    """It fails there again and again, and counts once."""
    standing = fail(WELL)
    for _ in range(20):
        standing = fail(standing, counts=False)

    assert standing == fail(WELL)


def test_what_was_under_way_when_it_was_set_aside_tells_nothing_new() -> None:
    """Ten that fail together are no worse than three."""
    aside = fail(fail(fail(WELL)))

    assert fail(aside, NOW + timedelta(seconds=1)) == aside


def test_each_probe_that_fails_doubles_the_time_up_to_half_an_hour() -> None:
    """Whichever container the probe was, and however many nodes are aside: this one is already."""
    standing, now, waits = fail(fail(fail(WELL))), NOW, []
    for _ in range(8):
        assert standing.aside_until is not None
        waits.append((standing.aside_until - now).total_seconds())
        now = standing.aside_until
        standing = fail(standing, now, counts=False, may=False)

    for wait, base in zip(waits, [60, 120, 240, 480, 960, 1800, 1800, 1800], strict=True):
        assert base * 0.9 <= wait <= base * 1.1


def test_a_probe_that_succeeds_restores_the_node() -> None:
    """As if nothing had been."""
    assert after_success(fail(fail(fail(WELL)))) == WELL


def test_a_node_that_may_not_be_set_aside_goes_on_and_may_be_later() -> None:
    """Its count does not run away meanwhile: its first time aside is the shortest."""
    standing = WELL
    for _ in range(10):
        standing = fail(standing, may=False)
    assert (standing.failures, standing.aside_until) == (LIMIT, None)

    aside = fail(standing).aside_until
    assert aside is not None
    assert aside - NOW <= timedelta(seconds=66)


@pytest.mark.parametrize(
    ("nodes", "most"), [(0, 0), (1, 0), (2, 1), (3, 1), (5, 1), (6, 2), (9, 3), (100, 33)], ids=lambda value: str(value)
)
def test_never_more_than_a_third_and_never_the_only_one(nodes: int, most: int) -> None:
    """If everything fails everywhere, it is not the nodes."""
    assert [setting_aside.may_set_aside(nodes, aside) for aside in range(nodes + 1)].count(True) == most


@given(st.lists(st.tuples(st.sampled_from(["success", "failure"]), st.booleans(), st.booleans(), st.integers(0, 4000))))
def test_whatever_happens_a_node_is_aside_for_a_reason_and_not_for_ever(
    history: list[tuple[str, bool, bool, int]],
) -> None:
    """And is well only without failures that led there."""
    standing, now = WELL, NOW
    for what, counts, may, seconds in history:
        now += timedelta(seconds=seconds)
        before = standing
        standing = after_success(before) if what == "success" else fail(before, now, counts=counts, may=may)
        assert (standing.aside_until is None) == (standing.aside_reason is None)
        if standing.aside_until is not None:
            assert standing.failures >= LIMIT
            assert standing.aside_until <= now + timedelta(seconds=1980)
        if what == "success":
            assert standing == replace(WELL)
