"""Which silent nodes are healed, and when our own silence is the reason."""

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfinder.controllers import liveness
from pathfinder.controllers.healing import FREE_SHARE, RECENT, SLOW, Silent, plan
from pathfinder.controllers.liveness import LOST_SECONDS, Caller, Calls, Clocks


def silent(number: int, ago: timedelta = timedelta(0), *, holding: bool = True) -> Silent:
    """A node that went DOWN some time ago."""
    return Silent(UUID(int=number), ago, holding)


def test_one_dead_machine_is_healed_at_once() -> None:
    """Also in a cluster of two, where it is half of all."""
    assert plan([silent(1)], 2).heal == [UUID(int=1)]
    assert plan([silent(1)], 100).heal == [UUID(int=1)]


def test_a_third_of_a_cluster_is_healed_at_once() -> None:
    """More than that is not."""
    third = [silent(n) for n in range(3)]

    assert plan(third, 9).heal == [one.id for one in third]
    assert plan(third, 8).heal == []


def test_beyond_the_brake_nodes_are_healed_one_by_one() -> None:
    """In the order in which they went, a minute apart, and those that wait are told why."""
    gone = [silent(1, SLOW), silent(2, SLOW), silent(3, SLOW)]

    result = plan(gone, 6)

    assert result.heal == [UUID(int=1)]
    assert set(result.held) == {UUID(int=2), UUID(int=3)}
    assert "3 of 6 nodes" in result.held[UUID(int=2)]


def test_when_everything_is_silent_nothing_is_placed_anew() -> None:
    """Not even after a long time: it is we who are cut off."""
    result = plan([silent(1, timedelta(hours=2)), silent(2, timedelta(hours=2))], 2)

    assert result.heal == []
    assert "Every node" in result.held[UUID(int=1)]


def test_a_lonely_node_that_dies_takes_its_containers_along() -> None:
    """There is nowhere to go anyway."""
    assert plan([silent(1)], 1).heal == []


def test_nodes_that_died_long_ago_and_hold_nothing_do_not_brake() -> None:
    """A machine that nobody removed from the list says nothing about today."""
    old = [silent(n, RECENT, holding=False) for n in range(5)]

    assert plan([*old, silent(9)], 8).heal == [UUID(int=9)]


@given(
    st.lists(st.tuples(st.integers(0, 1200), st.booleans()), max_size=12),
    st.integers(1, 12),
)
def test_a_node_is_healed_or_held_and_never_without_reason(went: list[tuple[int, bool]], more: int) -> None:
    """Every node that holds containers is one or the other, and a free share never waits."""
    gone = [silent(n, timedelta(seconds=ago), holding=holding) for n, (ago, holding) in enumerate(went)]
    total = len(gone) + more

    result = plan(gone, total)

    assert set(result.heal) | set(result.held) == {one.id for one in gone if one.holding}
    assert not set(result.heal) & set(result.held)
    if len(gone) <= total * FREE_SHARE:
        assert not result.held


@given(st.integers(4, 40), st.data(), st.sampled_from([(5.0, 15.0), (5.0, 10.0), (2.0, 60.0)]), st.floats(0, 0.5))
def test_nodes_that_are_cut_off_together_are_braked_from_the_first_look_on(
    nodes: int, data: st.DataObject, rhythm: tuple[float, float], offset: float
) -> None:
    """Although their last heartbeats, and so the ends of their leases, lie up to a heartbeat apart."""
    heartbeat, lease = rhythm
    cut = data.draw(st.integers(nodes // 3 + 1, nodes))
    ends = [lease - data.draw(st.floats(0, heartbeat)) for _ in range(cut)]
    looks = [offset + number / 2 for number in range(int(2 * lease + 2))]

    for now in (one for one in looks if min(ends) < one <= lease):
        down = [silent(number, timedelta(seconds=now - end)) for number, end in enumerate(ends) if end < now]
        faltering = sum(now <= end < now + lease / 2 for end in ends)
        assert plan(down, nodes, faltering).heal == []


@pytest.mark.parametrize(("database", "expected"), [(101.0, False), (90.0, True), (3700.0, True), (-500.0, True)])
def test_a_clock_that_was_set_is_noticed(database: float, expected: bool) -> None:
    """Forwards it would end every lease, backwards it would keep the dead alive."""
    assert liveness.jumped(Clocks(100.0, 50.0), Clocks(database, 51.0)) is expected


ID = UUID(int=1)


def test_a_node_that_does_not_answer_is_called_once_until_the_call_must_be_lost() -> None:
    """Whoever reads no commands must not find hundreds of them."""
    calls, node = Calls(5.0), Caller(ID, 3, new=False)

    assert calls.due([node], 0.0) == {ID}
    assert [now for now in range(1, 130) if calls.due([node], now)] == [LOST_SECONDS, 2 * LOST_SECONDS]


def test_a_node_that_answers_and_stays_down_is_called_a_heartbeat_later() -> None:
    """Not at once: what holds it back may stay."""
    calls = Calls(5.0)
    calls.due([Caller(ID, 3, new=False)], 0.0)

    assert calls.due([Caller(ID, 4, new=False)], 4.9) == set()
    assert calls.due([Caller(ID, 4, new=False)], 5.0) == {ID}


def test_a_new_node_is_called_only_if_its_own_list_does_not_come() -> None:
    """Its heartbeat is often the first to be heard."""
    calls, node = Calls(5.0), Caller(ID, 0, new=True)

    assert [now for now in range(12) if calls.due([node], now)] == [5]
