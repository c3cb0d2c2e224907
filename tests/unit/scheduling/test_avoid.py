"""Nodes where a container failed are avoided, as long as there is another."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from model import POLICY, Model, asks, fleets, steps
from test_place import fleet_of

from pathfinder.scheduling import explain
from pathfinder.scheduling.place import Decision, place
from pathfinder.scheduling.policy import POLICIES, Policy
from pathfinder.scheduling.request import Request

NAMES = [f"node-{number}" for number in range(5)]
KINDS = st.lists(asks(), min_size=1, max_size=2)
AVOID = st.lists(st.sampled_from([*NAMES, "gone"]), unique=True, max_size=5).map(tuple)
REQUESTS = st.tuples(KINDS, st.lists(st.tuples(st.integers(0, 1), AVOID), max_size=8)).map(
    lambda drawn: [
        Request(str(number), drawn[0][kind % len(drawn[0])], avoid) for number, (kind, avoid) in enumerate(drawn[1])
    ]
)


def expected(model: Model, request: Request, policy: Policy) -> set[str]:
    """The rule a second time, without NumPy: never failed before failed, and failed long ago before failed lately."""
    possible = {model.nodes[index].hostname for index in model.placeable(request.ask, policy)}
    fresh = possible - set(request.avoid)
    return fresh or set([host for host in request.avoid if host in possible][:1])


@given(st.builds(Model.of, fleets()), REQUESTS, POLICY, st.integers(0, 2**32))
def test_other_nodes_come_first_and_the_least_recently_failed_before_the_rest(
    model: Model, requests: list[Request], policy: Policy, seed: int
) -> None:
    """Whatever came before in the batch, and although all of a kind share an evaluation."""
    decisions = place(model.fleet(requests), requests, policy, seed)

    for before, decision in steps(model, requests, decisions):
        wanted = expected(before, decision.request, policy)
        if decision.index is None:
            assert wanted == set()
        else:
            assert model.nodes[decision.index].hostname in wanted
            assert {one.node for one in decision.candidates} <= wanted
            possible = len(before.placeable(decision.request.ask, policy))
            rejected = {one.filter: one.nodes for one in decision.rejected}
            assert rejected.get("avoid", 0) == possible - len(wanted)


@given(st.builds(Model.of, fleets()), REQUESTS, POLICY, st.integers(0, 2**32))
def test_avoiding_never_makes_a_container_wait(
    model: Model, requests: list[Request], policy: Policy, seed: int
) -> None:
    """It chooses among the nodes that are possible anyway."""
    for request in requests:
        fleet = model.fleet([request])
        (with_it,) = place(fleet, [request], policy, seed)
        (without,) = place(fleet, [replace(request, avoid=())], policy, seed)
        assert (with_it.index is None) == (without.index is None)


def chosen(*avoid: str) -> Decision:
    """Where a container goes among three equal nodes."""
    (decision,) = place(fleet_of(3), [Request("r", avoid=avoid)], POLICIES["spread"], 0)
    return decision


def test_the_explanation_names_the_avoided_nodes() -> None:
    """As if it were a filter."""
    decision = chosen("node-0", "node-2")

    assert decision.index == 1
    (rejection,) = explain.document([decision], POLICIES["spread"], 3)["rejections"]
    assert (rejection["filter"], rejection["nodes"]) == ("avoid", 2)
    assert rejection["reason"] == "the container failed to start there"


def test_once_every_node_has_failed_the_one_that_failed_first_is_used_again() -> None:
    """It had the most time to recover."""
    assert chosen("node-2", "node-0", "node-1").index == 2
    assert chosen("node-1", "node-2", "node-0").index == 1
