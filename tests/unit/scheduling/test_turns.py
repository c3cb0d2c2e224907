"""Who is placed before whom."""

from dataclasses import replace

import pytest
from hypothesis import given
from model import batches

from pathfinder.domain.resources import Resources
from pathfinder.scheduling.fleet import Fleet, NodeState
from pathfinder.scheduling.request import Ask, Gang, Request
from pathfinder.scheduling.turns import order

SMALL, LARGE = Ask(Resources(100, 1 << 20, 1 << 20)), Ask(Resources(4000, 1 << 30, 1 << 20))
NODE = NodeState("1", "node-1", True, True, Resources(64_000, 64 << 30, 64 << 30), Resources(), 0, 0, {})
FLEET = Fleet.of([NODE], {}, {})


def line(*requests: Request) -> list[str]:
    """Their ids, in the order in which they are placed."""
    return [requests[position].id for position in order(requests, FLEET)]


@given(batches(company=False))
def test_the_more_urgent_are_placed_first(requests: list[Request]) -> None:
    """Whatever their size is, and whoever waited."""
    found = order(requests, FLEET)

    assert sorted(found) == list(range(len(requests)))
    priorities = [requests[position].ask.priority for position in found]
    assert priorities == sorted(priorities, reverse=True)


@given(batches(company=False))
def test_equal_ones_stay_in_the_order_they_were_given_in(requests: list[Request]) -> None:
    """One right after the other."""
    found = [requests[position] for position in order(requests, FLEET)]

    kinds = [one.ask for one in found]
    assert all(kinds.index(kind) + kinds.count(kind) > at for at, kind in enumerate(kinds))
    assert sorted(found, key=lambda one: kinds.index(one.ask)) == found


def test_the_large_are_placed_before_the_small() -> None:
    """However late they come."""
    found = line(Request("a", SMALL), Request("b", LARGE), Request("c", SMALL), Request("d", LARGE))

    assert found == ["b", "d", "a", "c"]


@pytest.mark.parametrize("large", [Resources(8000), Resources(0, 8 << 30), Resources(0, 0, 8 << 30)])
def test_large_is_who_asks_for_much_of_anything(large: Resources) -> None:
    """By shares of what the fleet has: cores and bytes count the same."""
    assert line(Request("a", SMALL), Request("b", Ask(large)), Request("c", LARGE)) == ["b", "c", "a"]


def test_who_waited_is_not_overtaken_by_the_large() -> None:
    """Among those who waited, the oldest."""
    waited = replace(SMALL, image="other")

    found = line(Request("a", SMALL, waited=True), Request("b", LARGE), Request("c", waited, waited=True))

    assert found == ["a", "c", "b"]


def test_a_gang_is_as_large_as_all_of_it() -> None:
    """It needs room for all at once."""
    gang = Gang("g", 50)

    found = line(Request("a", LARGE), *(Request(f"g-{number}", SMALL, (), gang) for number in range(50)))

    assert found[-1] == "a"


def test_in_a_gang_the_large_go_first() -> None:
    """Whether it waited or not: it is all or nothing."""
    gang = Gang("g", 3)
    members = [Request("a", SMALL, (), gang, True), Request("b", LARGE, (), gang), Request("c", SMALL, (), gang, True)]

    assert line(*members) == ["b", "a", "c"]


def test_who_asks_for_nothing_has_a_turn() -> None:
    """Nothing is divided by."""
    assert line(Request("a", Ask()), Request("b", Ask(image="other"))) == ["a", "b"]
