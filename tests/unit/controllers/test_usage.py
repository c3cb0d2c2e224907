"""Rates out of the counters that heartbeats tell."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfinder.controllers.usage import STALE_SECONDS, Usages, Use

NODE, OTHER = "node-1", "node-2"


def told(at: float, **counters: list[Any]) -> dict[str, Any]:
    return {"at": at, "usages": counters}


def watching(*looks: dict[str, Any], node: str = NODE) -> Usages:
    found = Usages()
    found.watch({"a": NODE})
    for turn, look in enumerate(looks):
        found.hear(node, look, 100.0 + turn)
    return found


def test_two_looks_make_a_rate() -> None:
    """15 seconds of CPU time within 10 seconds are one and a half cores; traffic is both ways together."""
    found = watching(told(10, a=[5.0, 1000, 100, 200]), told(20, a=[20.0, 2000, 600, 700]))

    assert found.use("a", 101) == Use(1.5, 2000, 100.0)
    assert watching(told(10, a=[5.0, 1000, 100, 200])).use("a", 100) is None


def test_counters_that_begin_anew_are_no_rate() -> None:
    """A container, or a node, that was restarted is known again with the look after the next."""
    looks = [told(10, a=[50.0, 1, 0, 0]), told(20, a=[1.0, 1, 0, 0]), told(30, a=[6.0, 1, 0, 0])]

    assert watching(*looks[:2]).use("a", 101) is None
    assert watching(*looks).use("a", 102) == Use(0.5, 1, 0.0)
    assert watching(looks[2], told(5, a=[7.0, 1, 0, 0])).use("a", 101) is None


def test_what_was_heard_long_ago_says_nothing_of_now() -> None:
    """A node that went silent leaves its replicas unknown, not idle."""
    found = watching(told(10, a=[0, 1, 0, 0]), told(20, a=[5, 1, 0, 0]))

    assert found.use("a", 101 + STALE_SECONDS) is not None
    assert found.use("a", 102 + STALE_SECONDS) is None


def test_only_the_node_that_a_container_is_on_is_believed_about_it() -> None:
    """What a former placement still uses elsewhere is not added, and a move begins anew."""
    looks = (told(10, a=[0, 1, 0, 0]), told(20, a=[5, 1, 0, 0]))
    assert watching(*looks, node=OTHER).use("a", 101) is None

    found = watching(*looks)
    found.watch({"a": OTHER})
    assert found.use("a", 101) is None
    found.watch({"a": NODE})
    assert found.use("a", 101) is None


def test_a_look_that_comes_twice_changes_nothing() -> None:
    """A message that RabbitMQ delivers again is no look of its own."""
    looks = [told(10, a=[0, 1, 0, 0]), told(20, a=[5, 1, 0, 0])]

    assert watching(*looks, looks[1]).use("a", 102) == Use(0.5, 1, 0.0)


@pytest.mark.parametrize(
    "odd",
    [
        None,
        [],
        "x",
        {"at": 20},
        {"at": "20", "usages": {"a": [1, 1, 1, 1]}},
        told(20, a=[1, 1, 1]),
        told(20, a=["1", 1, 1, 1]),
        told(20, a=[-1, 1, 1, 1]),
        {"at": 20, "usages": {"a": None}},
    ],
)
def test_what_is_no_look_is_passed_over(odd: object) -> None:
    """Agents of other versions, and broken ones, make nobody who hears them fail."""
    found = watching(told(10, a=[0, 1, 0, 0]))
    found.hear(NODE, odd, 101)
    found.hear(NODE, told(30, a=[10, 1, 0, 0]), 102)

    assert found.use("a", 102) == Use(0.5, 1, 0.0)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["at", "usages", "a"]), inner),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4))
def test_nothing_that_is_told_breaks_it(looks: list[object]) -> None:
    """Whatever comes as JSON, a use is finite or not known."""
    found = watching()
    for turn, look in enumerate(looks):
        found.hear(NODE, orjson.loads(orjson.dumps(look)), turn)

    use = found.use("a", len(looks))
    assert use is None or use.cores >= 0
