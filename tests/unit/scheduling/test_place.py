"""`place()`: what must never happen, whatever the fleet and the requests."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pathfinder.domain.resources import Resources
from pathfinder.scheduling import explain
from pathfinder.scheduling.fleet import UNLIMITED, Fleet, NodeState
from pathfinder.scheduling.place import Decision, place
from pathfinder.scheduling.policy import POLICIES, Policy
from pathfinder.scheduling.request import Request

SMALL = st.integers(0, 6)
AMOUNTS = st.builds(Resources, SMALL, SMALL, SMALL)
LABELS = st.dictionaries(st.sampled_from(["zone", "disk"]), st.sampled_from(["a", "b"]), max_size=2)
POLICY = st.sampled_from(list(POLICIES.values()))


def _nodes(parts: list[tuple[bool, bool, Resources, Resources, int, dict[str, str], int]]) -> list[NodeState]:
    return [
        NodeState(f"id-{n}", f"node-{n}", ready, schedulable, capacity, claimed, containers, 0, labels, slots)
        for n, (ready, schedulable, capacity, claimed, containers, labels, slots) in enumerate(parts)
    ]


MOSTLY = st.sampled_from([True, True, True, False])
SLOTS = st.sampled_from([UNLIMITED, UNLIMITED, UNLIMITED, 0, 1])
NODES = st.lists(st.tuples(MOSTLY, MOSTLY, AMOUNTS, AMOUNTS, SMALL, LABELS, SLOTS), max_size=5).map(_nodes)
REQUESTS = st.lists(st.tuples(AMOUNTS, LABELS), max_size=8).map(
    lambda parts: [Request(f"r-{n}", resources, labels) for n, (resources, labels) in enumerate(parts)]
)


def plus(node: NodeState, wanted: Resources) -> NodeState:
    """The node with one container more."""
    claimed = Resources(
        node.claimed.cpu_millicores + wanted.cpu_millicores,
        node.claimed.memory_bytes + wanted.memory_bytes,
        node.claimed.disk_bytes + wanted.disk_bytes,
    )
    return replace(node, claimed=claimed, containers=node.containers + 1, slots=node.slots - 1)


def could_take(node: NodeState, request: Request) -> bool:
    """The rules, written down a second time and without NumPy."""
    fits = all(
        wanted == 0 or claimed + wanted <= capacity
        for wanted, claimed, capacity in (
            (request.resources.cpu_millicores, node.claimed.cpu_millicores, node.capacity.cpu_millicores),
            (request.resources.memory_bytes, node.claimed.memory_bytes, node.capacity.memory_bytes),
            (request.resources.disk_bytes, node.claimed.disk_bytes, node.capacity.disk_bytes),
        )
    )
    open_ = node.ready and node.schedulable and node.slots > 0
    return open_ and fits and request.node_labels.items() <= node.labels.items()


def replay(nodes: list[NodeState], decisions: list[Decision]) -> list[list[NodeState]]:
    """The fleet before each decision, and after the last."""
    states = [list(nodes)]
    for decision in decisions:
        now = list(states[-1])
        if decision.index is not None:
            now[decision.index] = plus(now[decision.index], decision.request.resources)
        states.append(now)
    return states


@given(NODES, REQUESTS, POLICY, st.integers(0, 2**32))
def test_a_container_goes_only_where_every_rule_lets_it(
    nodes: list[NodeState], requests: list[Request], policy: Policy, seed: int
) -> None:
    """So no resource of any node is ever overfilled, whatever came before in the batch."""
    decisions = place(Fleet.of(nodes), requests, policy, seed)

    assert [decision.request for decision in decisions] == requests
    for before, decision in zip(replay(nodes, decisions), decisions, strict=False):
        if decision.index is not None:
            assert could_take(before[decision.index], decision.request)


@given(NODES, REQUESTS, POLICY, st.integers(0, 2**32))
def test_unplaceable_means_that_no_node_could_take_it(
    nodes: list[NodeState], requests: list[Request], policy: Policy, seed: int
) -> None:
    """By trying every node."""
    decisions = place(Fleet.of(nodes), requests, policy, seed)

    for before, decision in zip(replay(nodes, decisions), decisions, strict=False):
        assert (decision.index is None) == (not any(could_take(node, decision.request) for node in before))


@given(NODES, REQUESTS, POLICY, st.integers(0, 2**32))
def test_every_node_is_either_possible_or_rejected_once(
    nodes: list[NodeState], requests: list[Request], policy: Policy, seed: int
) -> None:
    """The counts of an explanation add up, and the sentence can be made of them."""
    decisions = place(Fleet.of(nodes), requests, policy, seed)

    for before, decision in zip(replay(nodes, decisions), decisions, strict=False):
        possible = sum(could_take(node, decision.request) for node in before)
        assert sum(one.nodes for one in decision.rejected) + possible == len(nodes)
        assert all(one.reason for one in decision.rejected)
        if decision.index is None:
            assert explain.sentence(decision, len(nodes))
            assert decision.candidates == ()
        else:
            names = [candidate.node for candidate in decision.candidates]
            assert names[0] == nodes[decision.index].hostname
            assert len(names) == len(set(names)) <= possible
            assert max(candidate.score for candidate in decision.candidates) == decision.candidates[0].score


@given(NODES, REQUESTS, POLICY, st.integers(0, 2**32))
def test_equal_arguments_give_equal_decisions_and_the_fleet_is_left_alone(
    nodes: list[NodeState], requests: list[Request], policy: Policy, seed: int
) -> None:
    """Pure: a decision can be replayed from its explanation's seed."""
    fleet = Fleet.of(nodes)

    assert place(fleet, requests, policy, seed) == place(fleet, requests, policy, seed)
    assert (fleet.claimed == Fleet.of(nodes).claimed).all()
    assert (fleet.containers == Fleet.of(nodes).containers).all()
    assert (fleet.slots == Fleet.of(nodes).slots).all()


@given(NODES, REQUESTS, POLICY, st.integers(0, 2**32))
def test_a_batch_is_placed_as_if_one_by_one(
    nodes: list[NodeState], requests: list[Request], policy: Policy, seed: int
) -> None:
    """What is remembered between requests of a batch is what would be computed afresh.

    Ties are told apart by the seed's stream, which a batch draws from and single placements do not; so what is
    compared is the best score, what was rejected, and, where there is no tie, the node.
    """
    decisions = place(Fleet.of(nodes), requests, policy, seed)

    for before, decision in zip(replay(nodes, decisions), decisions, strict=False):
        (alone,) = place(Fleet.of(before), [decision.request], policy, seed)
        assert (alone.index is None) == (decision.index is None)
        assert alone.rejected == decision.rejected
        if alone.index is not None:
            scores = [one.score for one in alone.candidates]
            assert decision.candidates[0].score == scores[0]
            if len(scores) == 1 or scores[0] > scores[1]:
                assert decision.index == alone.index


def fleet_of(count: int) -> Fleet:
    """Equal, empty nodes."""
    return Fleet.of(
        [NodeState(f"{n}", f"node-{n}", True, True, Resources(8, 8, 8), Resources(), 0, 0, {}) for n in range(count)]
    )


@given(st.integers(0, 2**32))
def test_spread_fills_equal_nodes_evenly(seed: int) -> None:
    """No node has two while another has none."""
    requests = [Request(str(n), Resources(1, 1, 1)) for n in range(9)]

    chosen = [decision.index for decision in place(fleet_of(3), requests, POLICIES["spread"], seed)]

    assert sorted(chosen) == [0, 0, 0, 1, 1, 1, 2, 2, 2]  # type: ignore[type-var]
    assert len(set(chosen[:3])) == 3


@given(st.integers(0, 2**32))
def test_binpack_fills_one_node_before_the_next(seed: int) -> None:
    """Eight fit on one; the ninth opens another."""
    requests = [Request(str(n), Resources(1, 1, 1)) for n in range(9)]

    chosen = [decision.index for decision in place(fleet_of(3), requests, POLICIES["binpack"], seed)]

    assert len(set(chosen[:8])) == 1
    assert chosen[8] not in chosen[:8]


def test_ties_go_to_different_nodes_with_different_seeds() -> None:
    """Schedulers that look at the same fleet at once rarely fight for one node."""
    first = {place(fleet_of(3), [Request("r")], POLICIES["random"], seed)[0].index for seed in range(50)}

    assert first == {0, 1, 2}


def test_a_cluster_without_nodes_is_told_apart_from_a_full_one() -> None:
    """The sentence says what to do."""
    (decision,) = place(fleet_of(0), [Request("r")], POLICIES["spread"], 0)

    assert explain.sentence(decision, 0) == "Waiting for a node: the cluster has none yet."
    assert explain.document(decision, "spread", 7, 0) == {
        "policy": "spread",
        "seed": 7,
        "nodes_considered": 0,
        "rejections": [],
        "candidates": [],
    }
