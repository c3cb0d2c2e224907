"""Each filter and each scorer, alone."""

import numpy as np
import pytest

from pathfinder.domain.asking import Effect, Taint, Toleration
from pathfinder.domain.resources import Resources
from pathfinder.domain.selectors import Selector
from pathfinder.scheduling import policy
from pathfinder.scheduling.filters import FILTERS, Filter
from pathfinder.scheduling.filters.memory_in_use import MemoryInUse
from pathfinder.scheduling.fleet import Fleet, NodeState
from pathfinder.scheduling.place import place
from pathfinder.scheduling.policy import POLICIES
from pathfinder.scheduling.request import Ask, Request
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


def taken(name: str, *nodes: NodeState, ask: Ask) -> list[str]:
    """The hostnames that filter `name` lets through."""
    fleet = Fleet.of(nodes)
    mask = FILTERS[name].mask(fleet, ask)
    assert mask.shape == (len(nodes),)
    return [str(one) for one in fleet.hostnames[mask]]


ANY = Ask()


def test_ready_turns_down_nodes_that_are_down() -> None:
    """Their agents would not hear a command."""
    assert taken("ready", node("up"), node("down", ready=False), ask=ANY) == ["up"]


def test_schedulable_turns_down_cordoned_nodes() -> None:
    """A cordon stops new placements."""
    assert taken("schedulable", node("open"), node("cordoned", schedulable=False), ask=ANY) == ["open"]


def test_set_aside_turns_down_nodes_without_a_slot_and_says_what_failed() -> None:
    """A half-open node has one, until it is taken."""
    nodes = (node("well"), node("half-open", slots=1, aside="no space"), node("aside", slots=0, aside="no space."))

    assert taken("set-aside", *nodes, ask=ANY) == ["well", "half-open"]
    reason = FILTERS["set-aside"].reason(Fleet.of(nodes), ANY, np.array([False, False, True]))
    assert reason == "node is set aside after failed provisions (no space); `pfi uncordon node NAME` opens it"


def test_constraints_wants_every_one_satisfied() -> None:
    """A node that lacks a label, or has another value, is turned down; and one that has what it must not have."""
    nodes = (
        node("both", labels={"zone": "a", "disk": "ssd", "node.lxd": "5.0.2"}),
        node("other", labels={"zone": "b", "disk": "ssd", "node.lxd": "6.1"}),
        node("half", labels={"zone": "a"}),
        node("none"),
    )

    def those(text: str) -> list[str]:
        return taken("constraints", *nodes, ask=Ask(constraints=Selector.parse(text)))

    assert those("zone=a,disk=ssd") == ["both"]
    assert those("zone in (a, b)") == ["both", "other", "half"]
    assert those("!zone") == ["none"]
    assert those("node.lxd > 5.0") == ["both", "other"]
    assert those("node.lxd > 5.0.2") == ["other"]
    assert those("rack=1") == []
    assert those("") == ["both", "other", "half", "none"]


def test_constraints_says_which_fail_and_which_nobody_could_satisfy() -> None:
    """A label that no node has is a typing mistake more often than a wish."""
    fleet = Fleet.of([node("a", labels={"zone": "a"}), node("b", labels={"zone": "b"})])
    ask = Ask(constraints=Selector.parse("zone=c,dsk=ssd"))

    reason = FILTERS["constraints"].reason(fleet, ask, np.array([True, True]))

    assert reason == "node does not satisfy dsk=ssd, zone=c (no node has a label dsk)"


def test_taints_turns_down_what_is_not_tolerated_and_names_it() -> None:
    """A soft taint turns nothing down."""
    nodes = (
        node("clean"),
        node("db", taints=(Taint("dedicated", "db"),)),
        node("soft", taints=(Taint("old", "", Effect.PREFER_NO_SCHEDULE),)),
    )

    assert taken("taints", *nodes, ask=ANY) == ["clean", "soft"]
    assert len(taken("taints", *nodes, ask=Ask(tolerations=(Toleration("dedicated"),)))) == 3
    assert len(taken("taints", *nodes, ask=Ask(tolerations=(Toleration("dedicated", "web"),)))) == 2
    reason = FILTERS["taints"].reason(Fleet.of(nodes), ANY, np.array([False, True, False]))
    assert reason == "node is tainted dedicated=db:NoSchedule"


def test_counts_turns_down_full_nodes_and_those_full_of_stateful_ones() -> None:
    """Each node has its own limits."""
    nodes = (node("free", containers=3), node("full", containers=3, max_containers=3), node("kept", max_stateful=0))

    assert taken("counts", *nodes, ask=ANY) == ["free", "kept"]
    assert taken("counts", *nodes, ask=Ask(stateful=True)) == ["free"]


def test_pool_keeps_the_nodes_of_a_pool_for_those_who_name_it() -> None:
    """Or any."""
    nodes = (node("usual"), node("fast", pool="fast"))

    assert taken("pool", *nodes, ask=ANY) == ["usual"]
    assert taken("pool", *nodes, ask=Ask(pool="fast")) == ["fast"]
    assert taken("pool", *nodes, ask=Ask(pool="*")) == ["usual", "fast"]


def test_memory_in_use_turns_down_nodes_above_the_threshold() -> None:
    """A node that has not said is not judged."""
    fleet = Fleet.of([node("half", memory_used=0.5), node("busy", memory_used=0.95), node("silent")])
    rule = MemoryInUse(0.9)

    assert rule.mask(fleet, ANY).tolist() == [True, False, True]
    reason = rule.reason(fleet, ANY, np.array([False, True, False]))
    assert reason == "node uses 95% of its memory or more, above the policy's 90%"


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
    wanted = Ask(Resources(1000, GIB, 10 * GIB))

    assert bool(taken("fits", node("n", claimed=claimed), ask=wanted)) == fits


def test_fits_does_not_look_at_what_was_not_asked_for() -> None:
    """A container without limits goes on a full node too."""
    full = node("full", claimed=Resources(9000, 9 * GIB, 90 * GIB))

    assert taken("fits", full, ask=ANY) == ["full"]
    assert taken("fits", full, ask=Ask(Resources(1, 0, 0))) == []


def test_fits_says_what_is_short_and_how_much_is_left() -> None:
    """In the words and units people write."""
    fleet = Fleet.of([node("a", claimed=Resources(3500, 0, 0)), node("b", claimed=Resources(3000, 0, 0))])
    reason = FILTERS["fits"].reason(fleet, Ask(Resources(2000, GIB, 0)), np.array([True, True]))

    assert reason == "cpu 2 wanted, at most 1 free"


@pytest.mark.parametrize("rule", FILTERS.values(), ids=lambda rule: rule.name)
def test_every_filter_stands_under_its_name_takes_an_empty_fleet_and_has_words(rule: Filter) -> None:
    """The registry is what explanations name."""
    assert FILTERS[rule.name] is rule
    assert rule.mask(Fleet.of([]), ANY).shape == (0,)
    assert rule.wakes
    ask = Ask(Resources(99_000, 0, 0), constraints=Selector.parse("zone=a"), pool="fast")
    bad = {"slots": 0, "max_containers": 0, "memory_used": 1.1, "taints": (Taint("t"),)}
    fleet = Fleet.of([node("n", ready=False, schedulable=False, **bad)])
    assert not rule.mask(fleet, ask)[0]
    assert rule.reason(fleet, ask, np.array([True]))


def scores(name: str, *nodes: NodeState, ask: Ask = ANY) -> list[float]:
    """What scorer `name` gives each node."""
    return [float(one) for one in SCORERS[name].score(Fleet.of(nodes), ask)]


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
    assert scores("used-share", *nodes[:1], ask=Ask(Resources(2000, 4 * GIB, 0))) == [0.5]


def test_scorers_of_room_go_by_what_may_be_promised() -> None:
    """Twice the cpu and half of the memory: 4 of 8 cores, and 4 of 4 GiB."""
    fleet = Fleet.of([node("n", claimed=Resources(4000, 4 * GIB, 0))]).working((2.0, 0.5, 1.0))

    given = {name: float(SCORERS[name].score(fleet, ANY)[0]) for name in ("used-share", "free-share", "balance")}

    assert given == {"used-share": 0.75, "free-share": 0.25, "balance": 0.5}


def test_balance_is_1_where_equal_shares_are_claimed_and_falls_with_their_difference() -> None:
    """The request itself counts; whichever of the two is more."""
    nodes = (
        node("empty"),
        node("even", claimed=Resources(2000, 4 * GIB, 0)),
        node("cpu", claimed=Resources(4000, 4 * GIB, 0)),
        node("memory", claimed=Resources(0, 2 * GIB, 0)),
    )

    assert scores("balance", *nodes) == [1, 1, 0.5, 0.75]
    assert scores("balance", *nodes, ask=Ask(Resources(1000, 0, 0))) == [0.75, 0.75, 0.25, 1]


def test_idle_share_goes_by_live_use_and_takes_the_silent_for_half_busy() -> None:
    """Not by claims; a load above the cores is no worse than one that equals them."""
    nodes = (
        node("idle", cpu_used=0.0, memory_used=0.0, claimed=Resources(4000, 8 * GIB, 0)),
        node("cpu", cpu_used=1.0, memory_used=0.0),
        node("busy", cpu_used=3.0, memory_used=0.5),
        node("silent"),
    )

    assert scores("idle-share", *nodes) == [1, 0.5, 0.25, 0.5]


def test_has_image_is_1_with_the_image_and_0_without() -> None:
    """The very image that is asked for."""
    nodes = (node("has", images=frozenset({"local:a", "local:b"})), node("other", images=frozenset({"local:b"})))

    assert scores("has-image", *nodes, ask=Ask(image="local:a")) == [1, 0]


def test_untainted_falls_with_each_soft_taint_that_is_not_tolerated() -> None:
    """Hard ones are the filter's business."""
    old, slow = (Taint(name, "", Effect.PREFER_NO_SCHEDULE) for name in ("old", "slow"))
    nodes = (
        node("clean"),
        node("one", taints=(old,)),
        node("two", taints=(old, slow)),
        node("hard", taints=(Taint("x"),)),
    )

    assert scores("untainted", *nodes) == [1, 1 / 2, 1 / 3, 1]
    assert scores("untainted", *nodes, ask=Ask(tolerations=(Toleration("old"),))) == [1, 1, 1 / 2, 1]


IMAGE = Ask(Resources(1000, GIB, 0), image="local:a")
HALF = Resources(2000, 4 * GIB, 0)


@pytest.mark.parametrize(
    ("name", "best", "other"),
    [
        ("spread", node("best", containers=1), node("other", containers=1, claimed=HALF)),
        ("spread", node("best"), node("other", containers=1)),
        ("binpack", node("best", containers=1, claimed=HALF), node("other")),
        ("balanced", node("best", claimed=Resources(1000, 4 * GIB, 0)), node("other", claimed=Resources(3000, GIB, 0))),
        ("least-loaded", node("best", cpu_used=0.1, claimed=HALF), node("other", cpu_used=0.9)),
        ("least-loaded", node("best", memory_used=0.1, claimed=HALF), node("other", memory_used=0.9)),
        ("image-locality", node("best", images=frozenset({"local:a"}), claimed=HALF), node("other")),
        ("image-locality", node("best"), node("other", claimed=HALF)),
        *(
            (name, node("best"), node("other", taints=(Taint("old", "", Effect.PREFER_NO_SCHEDULE),)))
            for name in POLICIES
        ),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_each_policy_prefers_what_it_says(name: str, best: NodeState, other: NodeState, seed: int) -> None:
    """Whichever node comes first, and however ties would be broken."""
    for nodes in ((best, other), (other, best)):
        (decision,) = place(Fleet.of(nodes), [Request("r", IMAGE)], POLICIES[name], seed)
        assert decision.index == nodes.index(best)


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
    ask = Ask(Resources(1000, GIB, 0))

    given = scorer.score(Fleet.of(nodes), ask)

    assert SCORERS[scorer.name] is scorer
    assert ((given >= 0) & (given <= 1)).all()
    assert [float(scorer.score(Fleet.of([one]), ask)[0]) for one in nodes] == list(given)
    assert scorer.score(Fleet.of([]), ask).shape == (0,)


def test_policies_are_found_by_name() -> None:
    """And an unknown one is answered with those there are."""
    assert policy.named("binpack") is POLICIES["binpack"]
    with pytest.raises(policy.Invalid, match="spread, binpack, balanced, least-loaded, image-locality, random"):
        policy.named("best")
