"""What was used lately: counters become points, and points survive the way from a node to an api."""

from hypothesis import given
from hypothesis import strategies as st

from pathfinder.controllers.looks import History, Point, Rates, heard, together, told
from pathfinder.domain.instances import ContainerUsage, NodeUsage

MIB = 1 << 20


def test_counters_become_rates_from_one_look_to_the_next() -> None:
    """The first look knows memory and disk, but no rate yet; the second has what was used between them."""
    rates = Rates()

    first = rates.points(100, {"a": ContainerUsage(10, 5 * MIB, 1000, 0, 7)})
    second = rates.points(110, {"a": ContainerUsage(15, 6 * MIB, 3000, 50, None)})

    assert first == {"a": Point(100, None, 5 * MIB, None, None, 7)}
    assert second == {"a": Point(110, 0.5, 6 * MIB, 200, 5, None)}


def test_a_restart_makes_a_gap_and_no_negative_rate() -> None:
    """Counters that begin anew say nothing of the time since the look before; nor does a look right after another."""
    rates = Rates()
    rates.points(0, {"a": ContainerUsage(10, MIB, 1000, 0)})

    restarted = rates.points(10, {"a": ContainerUsage(1, MIB, 2000, 0)})["a"]
    at_once = rates.points(10.1, {"a": ContainerUsage(2, MIB, 2000, 0)})["a"]

    assert (restarted.cores, restarted.received, restarted.memory_bytes) == (None, None, MIB)
    assert at_once.cores is None


def test_the_history_is_bounded_and_knows_who_was_there_when() -> None:
    """The oldest points go; who came late or left has points of that time only."""
    history = History(kept=2)
    for at in range(3):
        history.note({name: Point(at, None, at, None, None, None) for name in ("a", *(["b"] if at == 1 else []))})

    assert [point.at for point in history.of("a")] == [1, 2]
    assert [point.at for point in history.of("b")] == [1]
    assert history.of("c") == []


def test_a_node_uses_what_its_containers_do_and_its_machine_has_in_use() -> None:
    """Cores and traffic are summed, as far as they are known; of an empty node they are nothing, not unknown."""
    points = [Point(5, 0.5, 1, 10, 20, 1), Point(5, None, 1, None, None, None), Point(5, 1, 1, 5, 5, 1)]
    machine = NodeUsage(0, 0, 0, 3 * MIB, 4 * MIB)

    assert together(5, points, machine) == Point(5, 1.5, 3 * MIB, 15, 25, 4 * MIB)
    assert together(5, [], None) == Point(5, 0, None, 0, 0, None)
    assert together(5, points[1:2], None).cores is None


values = st.none() | st.floats(0, 1e15)
whole = st.none() | st.integers(0, 1 << 60)


@given(st.floats(0, 1e9), st.floats(0, 1e5), values, whole, values, values, whole)
def test_a_point_that_is_told_is_heard_whatever_the_clocks_say(
    at: float,
    age: float,
    cores: float | None,
    memory: int | None,
    down: float | None,
    up: float | None,
    disk: int | None,
) -> None:
    """Only ages travel, so two clocks that have nothing in common agree on when it was."""
    found = heard(told(Point(at, cores, memory, down, up, disk), at + age), 5e9)

    assert found is not None
    assert abs(found.at - (5e9 - age)) < 0.01
    assert (found.memory_bytes, found.disk_bytes) == (memory, disk)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=8))
def test_what_is_no_point_is_passed_over(parts: object) -> None:
    """A node may say what it likes."""
    found = heard(parts, 100.0)

    assert found is None or found.at <= 100.0
