"""Survivability: what is said to happen is what `place()` would do."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from pathfinder.domain.asking import Affinity
from pathfinder.domain.resources import Resources
from pathfinder.domain.selectors import Selector
from pathfinder.scheduling.fleet import UNLIMITED, Fleet, NodeState
from pathfinder.scheduling.place import place
from pathfinder.scheduling.policy import POLICIES, Policy
from pathfinder.scheduling.request import Ask, Request
from pathfinder.scheduling.resilience import Loss, Resident, survey

SIZES = [Resources(), Resources(1000), Resources(0, 3), Resources(2000, 2, 5), Resources(3000, 1, 1)]

CONSTRAINTS = st.sampled_from([Selector(), Selector(), Selector.parse("zone=a")])


def node(name: str, *residents: Resident, cpu: int = 8000, zone: str | None = None, **changes: object) -> NodeState:
    """A node that holds its residents."""
    mine = [one.request.ask.resources for one in residents if one.node == name]
    claimed = Resources(
        sum(one.cpu_millicores for one in mine),
        sum(one.memory_bytes for one in mine),
        sum(one.disk_bytes for one in mine),
    )
    state = NodeState(
        id=name,
        hostname=name,
        ready=True,
        schedulable=True,
        capacity=Resources(cpu, 8, 20),
        claimed=claimed,
        containers=len(mine),
        generation=1,
        labels={} if zone is None else {"zone": zone},
    )
    return replace(state, **changes)  # type: ignore[arg-type]


def on(name: str, count: int, cpu: int, *, stateful: bool = False) -> list[Resident]:
    """So many containers of so many millicores on a node."""
    return [Resident(name, Request(f"{name}-{n}", Ask(Resources(cpu))), stateful) for n in range(count)]


def test_room_for_everything_is_survival() -> None:
    """Two half-empty nodes can stand in for each other."""
    residents = [*on("a", 4, 1000), *on("b", 4, 1000)]

    found = survey([node("a", *residents), node("b", *residents)], residents, POLICIES["spread"], "zone")

    assert found.survives()
    assert found.losses == (Loss("node", "a", 1, 4, 0, 0), Loss("node", "b", 1, 4, 0, 0))


def test_what_would_not_fit_would_wait() -> None:
    """Counted for each node, the worst first; stateful containers apart."""
    residents = [*on("a", 6, 1000), *on("b", 5, 1000), *on("b", 1, 1000, stateful=True)]

    found = survey([node("a", *residents), node("b", *residents)], residents, POLICIES["binpack"], "zone")

    assert not found.survives()
    assert found.of("node") == (Loss("node", "a", 1, 6, 4, 0), Loss("node", "b", 1, 5, 3, 1))


def test_a_zone_is_lost_as_a_whole() -> None:
    """Any one node, yes; but not both of zone b."""
    residents = [*on("b1", 6, 1000), *on("b2", 6, 1000)]
    nodes = [node("a", zone="a"), node("b1", *residents, zone="b"), node("b2", *residents, zone="b"), node("c")]
    nodes[3] = replace(nodes[3], schedulable=False)

    found = survey(nodes, residents, POLICIES["spread"], "zone")

    assert found.survives("node")
    assert not found.survives("zone")
    assert found.of("zone") == (Loss("zone", "b", 2, 12, 4, 0), Loss("zone", "a", 1, 0, 0, 0))


def test_a_node_that_is_down_has_nothing_left_to_lose() -> None:
    """And takes nothing."""
    residents = on("b", 1, 1000)
    nodes = [node("a", ready=False), node("b", *residents)]

    assert survey(nodes, residents, POLICIES["spread"], "zone").losses == (Loss("node", "b", 1, 1, 1, 0),)


def test_an_empty_cluster_survives() -> None:
    """There is nothing to lose."""
    assert survey([], [], POLICIES["spread"], "zone").survives()


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[NodeState], list[Resident], Policy]:
    """A small cluster, now and then nearly full, with labels, cordons and nodes that are down."""
    names = [f"n{number}" for number in range(draw(st.integers(1, 6)))]
    residents = [
        Resident(
            draw(st.sampled_from(names)),
            Request(f"c{number}", Ask(draw(st.sampled_from(SIZES)), constraints=draw(CONSTRAINTS))),
            draw(st.booleans()) and draw(st.booleans()),
        )
        for number in range(draw(st.integers(0, 25)))
    ]
    nodes = [
        node(
            name,
            *residents,
            cpu=draw(st.sampled_from([4000, 8000, 16_000])),
            zone=draw(st.sampled_from(["a", "b", None])),
            schedulable=draw(st.integers(0, 9)) > 0,
            ready=draw(st.integers(0, 9)) > 0,
            slots=draw(st.sampled_from([UNLIMITED] * 4 + [0, 1])),
        )
        for name in names
    ]
    return nodes, residents, POLICIES[draw(st.sampled_from(sorted(POLICIES)))]


@given(clusters())
@settings(max_examples=100, deadline=None)
def test_it_says_what_placing_them_would_do(cluster: tuple[list[NodeState], list[Resident], Policy]) -> None:
    """For each node and each zone: kill it, place what was on it, count what waits."""
    nodes, residents, policy = cluster

    for loss in survey(nodes, residents, policy, "zone").losses:
        dead = {
            one.id
            for one in nodes
            if one.ready and (one.hostname == loss.name if loss.kind == "node" else one.labels.get("zone") == loss.name)
        }
        left = Fleet.of([replace(one, ready=one.ready and one.id not in dead) for one in nodes])
        requests = [one.request for one in residents if one.node in dead and not one.stateful]
        decisions = place(left, requests, policy, seed=0)

        assert loss.waiting == sum(one.index is None for one in decisions)
        assert loss.containers == len(requests)
        assert loss.stateful == sum(one.node in dead and one.stateful for one in residents)


def test_containers_that_must_be_apart_do_not_survive_a_node_that_nobody_can_stand_in_for() -> None:
    """There is room, but not for company; a fourth node that is free of it takes one."""
    web = Selector.parse("app=web")
    ask = Ask(Resources(1000), affinities=(Affinity(web, apart=True),), labels=(("app", "web"),))
    residents = [Resident(name, Request(name, ask)) for name in ("a", "b", "c")]
    three = [node(name, *residents) for name in ("a", "b", "c")]

    assert [one.waiting for one in survey(three, residents, POLICIES["spread"], "zone").of("node")] == [1, 1, 1]
    assert survey([*three, node("d")], residents, POLICIES["spread"], "zone").survives()


def test_what_dies_with_a_zone_is_nobodys_company_elsewhere() -> None:
    """Spread over zones: when one dies, its part goes where it is allowed to, as if it had never been there."""
    web = Selector.parse("app=web")
    ask = Ask(Resources(1000), affinities=(Affinity(web, "zone", apart=True),), labels=(("app", "web"),))
    plain = Ask(Resources(1000), affinities=(Affinity(web, "zone"),))
    residents = [Resident("a", Request("web", ask)), Resident("a", Request("near", plain))]
    fleet = [node("a", *residents, zone="1"), node("b", zone="2")]

    found = survey(fleet, residents, POLICIES["spread"], "zone")

    assert [one.waiting for one in found.of("zone")] == [0, 0]
