"""Each filter and each scorer, alone."""

import numpy as np
import pytest

from pathfinder.domain.resources import Resources
from pathfinder.scheduling import policy
from pathfinder.scheduling.filters import FILTERS, Filter
from pathfinder.scheduling.fleet import Fleet, NodeState
from pathfinder.scheduling.policy import POLICIES
from pathfinder.scheduling.request import Request
from pathfinder.scheduling.scorers import SCORERS, Scorer

GIB = 1 << 30


def node(name: str, **changes: object) -> NodeState:
    """A ready, empty node with 4 cores, 8 GiB and 80 GiB."""
    usual: dict[str, object] = {
        "id": f"id-of-{name}",
        "hostname": name,
        "ready": True,
        "schedulable": True,
        "capacity": Resources(4000, 8 * GIB, 80 * GIB),
        "claimed": Resources(),
        "containers": 0,
        "generation": 0,
        "labels": {},
    }
    return NodeState(**(usual | changes))  # type: ignore[arg-type]


def taken(name: str, *nodes: NodeState, request: Request) -> list[str]:
    """The hostnames that filter `name` lets through."""
    fleet = Fleet.of(nodes)
    mask = FILTERS[name].mask(fleet, request)
    assert mask.shape == (len(nodes),)
    return [str(one) for one in fleet.hostnames[mask]]


ANY = Request("r")


def test_ready_turns_down_nodes_that_are_down() -> None:
    """Their agents would not hear a command."""
    assert taken("ready", node("up"), node("down", ready=False), request=ANY) == ["up"]


def test_schedulable_turns_down_cordoned_nodes() -> None:
    """A cordon stops new placements."""
    assert taken("schedulable", node("open"), node("cordoned", schedulable=False), request=ANY) == ["open"]


def test_set_aside_turns_down_nodes_without_a_slot_and_says_what_failed() -> None:
    """A half-open node has one, until it is taken."""
    nodes = (node("well"), node("half-open", slots=1, aside="no space"), node("aside", slots=0, aside="no space."))

    assert taken("set-aside", *nodes, request=ANY) == ["well", "half-open"]
    reason = FILTERS["set-aside"].reason(Fleet.of(nodes), ANY, np.array([False, False, True]))
    assert reason == "node is set aside after failed provisions (no space); `pfi uncordon node NAME` opens it"


def test_labels_wants_every_label_with_its_value() -> None:
    """A node that lacks one of them, or has another value, is turned down."""
    nodes = (
        node("both", labels={"zone": "a", "disk": "ssd"}),
        node("other", labels={"zone": "b", "disk": "ssd"}),
        node("half", labels={"zone": "a"}),
        node("none"),
    )

    assert taken("labels", *nodes, request=Request("r", node_labels={"zone": "a", "disk": "ssd"})) == ["both"]
    assert taken("labels", *nodes, request=Request("r", node_labels={"rack": "1"})) == []
    assert len(taken("labels", *nodes, request=ANY)) == 4


@pytest.mark.parametrize(
    ("claimed", "fits"),
    [
        (Resources(), True),
        (Resources(3000, 7 * GIB, 70 * GIB), True),
        (Resources(3001, 0, 0), False),
        (Resources(0, 7 * GIB + 1, 0), False),
        (Resources(0, 0, 70 * GIB + 1), False),
    ],
)
def test_fits_turns_down_nodes_that_one_resource_would_overfill(claimed: Resources, fits: bool) -> None:
    """To the byte."""
    wanted = Request("r", Resources(1000, GIB, 10 * GIB))

    assert bool(taken("fits", node("n", claimed=claimed), request=wanted)) == fits


def test_fits_does_not_look_at_what_was_not_asked_for() -> None:
    """A container without limits goes on a full node too."""
    full = node("full", claimed=Resources(9000, 9 * GIB, 90 * GIB))

    assert taken("fits", full, request=ANY) == ["full"]
    assert taken("fits", full, request=Request("r", Resources(1, 0, 0))) == []


def test_fits_says_what_is_short_and_how_much_is_left() -> None:
    """In the words and units people write."""
    fleet = Fleet.of([node("a", claimed=Resources(3500, 0, 0)), node("b", claimed=Resources(3000, 0, 0))])
    reason = FILTERS["fits"].reason(fleet, Request("r", Resources(2000, GIB, 0)), np.array([True, True]))

    assert reason == "cpu 2 wanted, at most 1 free"


@pytest.mark.parametrize("rule", FILTERS.values(), ids=lambda rule: rule.name)
def test_every_filter_stands_under_its_name_takes_an_empty_fleet_and_has_words(rule: Filter) -> None:
    """The registry is what explanations name."""
    assert FILTERS[rule.name] is rule
    assert rule.mask(Fleet.of([]), ANY).shape == (0,)
    assert rule.wakes
    request = Request("r", Resources(99_000, 0, 0), {"zone": "a"})
    fleet = Fleet.of([node("n", ready=False, schedulable=False, slots=0)])
    assert not rule.mask(fleet, request)[0]
    assert rule.reason(fleet, request, np.array([True]))


def scores(name: str, *nodes: NodeState, request: Request = ANY) -> list[float]:
    """What scorer `name` gives each node."""
    return [float(one) for one in SCORERS[name].score(Fleet.of(nodes), request)]


def test_few_containers_halves_with_the_first() -> None:
    """1, 1/2, 1/3."""
    assert scores("few-containers", *(node(f"n{n}", containers=n) for n in range(3))) == [1, 1 / 2, 1 / 3]


def test_free_share_prefers_the_emptier_and_used_share_the_fuller() -> None:
    """They are each other's opposite, and count the request itself."""
    nodes = (
        node("empty"),
        node("half", claimed=Resources(2000, 4 * GIB, 0)),
        node("full", claimed=Resources(4000, 8 * GIB)),
    )

    assert scores("free-share", *nodes) == [1, 0.5, 0]
    assert scores("used-share", *nodes) == [0, 0.5, 1]
    assert scores("used-share", *nodes[:1], request=Request("r", Resources(2000, 4 * GIB, 0))) == [0.5]


def test_a_node_without_a_resource_counts_as_full_of_it() -> None:
    """No division by nothing."""
    assert scores("used-share", node("odd", capacity=Resources(0, 8 * GIB, 0))) == [0.5]


@pytest.mark.parametrize("scorer", SCORERS.values(), ids=lambda scorer: scorer.name)
def test_every_scorer_stands_under_its_name_and_stays_between_0_and_1(scorer: Scorer) -> None:
    """Overfull nodes included; and one node's score does not depend on the others."""
    nodes = [
        node("a"),
        node("b", claimed=Resources(9000, 9 * GIB, 0), containers=40),
        node("c", capacity=Resources(), containers=1),
    ]
    request = Request("r", Resources(1000, GIB, 0))

    given = scorer.score(Fleet.of(nodes), request)

    assert SCORERS[scorer.name] is scorer
    assert ((given >= 0) & (given <= 1)).all()
    assert [float(scorer.score(Fleet.of([one]), request)[0]) for one in nodes] == list(given)
    assert scorer.score(Fleet.of([]), request).shape == (0,)


def test_policies_are_found_by_name() -> None:
    """And an unknown one is answered with those there are."""
    assert policy.named("binpack") is POLICIES["binpack"]
    with pytest.raises(policy.Invalid, match="spread, binpack, random"):
        policy.named("best")
