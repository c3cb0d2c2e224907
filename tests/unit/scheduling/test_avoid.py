"""Nodes where a container failed are avoided, as long as there is another."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from test_place import NODES, POLICY, could_take, fleet_of, replay

from pathfinder.domain.resources import Resources
from pathfinder.scheduling import explain
from pathfinder.scheduling.fleet import Fleet, NodeState
from pathfinder.scheduling.place import Decision, place
from pathfinder.scheduling.policy import POLICIES, Policy
from pathfinder.scheduling.request import Request

NAMES = [f"node-{number}" for number in range(5)]
REQUESTS = st.lists(
    st.builds(
        lambda amount, avoid: Request("r", Resources(amount, 0, 0), {}, tuple(avoid)),
        st.integers(0, 3),
        st.lists(st.sampled_from([*NAMES, "gone"]), unique=True, max_size=5),
    ),
    max_size=8,
)


def expected(nodes: list[NodeState], request: Request) -> set[str]:
    """The rule a second time, without NumPy: never failed before failed, and failed long ago before failed lately."""
    possible = {node.hostname for node in nodes if could_take(node, request)}
    fresh = possible - set(request.avoid)
    return fresh or set([host for host in request.avoid if host in possible][:1])


@given(NODES, REQUESTS, POLICY, st.integers(0, 2**32))
def test_other_nodes_come_first_and_the_least_recently_failed_before_the_rest(
    nodes: list[NodeState], requests: list[Request], policy: Policy, seed: int
) -> None:
    """Whatever came before in the batch, and although all of these share an evaluation."""
    decisions = place(Fleet.of(nodes), requests, policy, seed)

    for before, decision in zip(replay(nodes, decisions), decisions, strict=False):
        wanted = expected(before, decision.request)
        if decision.index is None:
            assert wanted == set()
        else:
            assert nodes[decision.index].hostname in wanted
            assert {one.node for one in decision.candidates} <= wanted
        possible = sum(could_take(node, decision.request) for node in before)
        rejected = {one.filter: one.nodes for one in decision.rejected}
        assert rejected.get("avoid", 0) == possible - len(wanted)
        assert sum(rejected.values()) + len(wanted) == len(nodes)


@given(NODES, REQUESTS, POLICY, st.integers(0, 2**32))
def test_avoiding_never_makes_a_container_wait(
    nodes: list[NodeState], requests: list[Request], policy: Policy, seed: int
) -> None:
    """It chooses among the nodes that are possible anyway."""
    fleet = Fleet.of(nodes)
    for request in requests:
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
    assert explain.document(decision, "spread", 0, 3)["rejections"] == [
        {"filter": "avoid", "nodes": 2, "reason": "the container failed to start there"}
    ]


def test_once_every_node_has_failed_the_one_that_failed_first_is_used_again() -> None:
    """It had the most time to recover."""
    assert chosen("node-2", "node-0", "node-1").index == 2
    assert chosen("node-1", "node-2", "node-0").index == 1


def test_a_batch_of_retries_shares_one_evaluation() -> None:
    """What to avoid is no part of a request's shape, so many different failures cost no more than one."""
    assert Request("a", avoid=("node-0",)).shape == Request("b").shape
