"""When new work is refused, and when it is taken again."""

from pathfinder.controllers.backpressure import Pressure


def test_a_place_closes_at_its_mark_and_opens_below_half_of_it() -> None:
    """Between the two it stays as it was."""
    pressure = Pressure({"the outbox": 10})
    seen = []
    for depth in (9, 10, 9, 5, 4, 9, 12):
        pressure.measured("the outbox", depth)
        seen.append(pressure.reason is not None)

    assert seen == [False, True, True, True, False, False, True]


def test_only_a_change_is_told() -> None:
    """For the log."""
    pressure = Pressure({"a": 10})

    assert [pressure.measured("a", depth) for depth in (1, 10, 11, 1, 1)] == [False, True, False, True, False]


def test_one_full_place_is_enough() -> None:
    """And the words name it, how full it is, and when it opens."""
    pressure = Pressure({"the outbox": 10, "pathfinder.scheduler": 100})
    pressure.measured("pathfinder.scheduler", 100)
    pressure.measured("the outbox", 0)

    assert pressure.reason is not None
    assert "100 messages or more wait in pathfinder.scheduler" in pressure.reason
    assert "below 50" in pressure.reason
    assert "the outbox" not in pressure.reason


def test_a_mark_of_nothing_never_closes() -> None:
    """Who wants no backpressure."""
    pressure = Pressure({"a": 0})
    pressure.measured("a", 1_000_000)

    assert pressure.reason is None


def test_a_mark_of_one_can_open_again() -> None:
    """The smallest there is."""
    pressure = Pressure({"a": 1})
    pressure.measured("a", 1)
    pressure.measured("a", 0)

    assert pressure.reason is None
