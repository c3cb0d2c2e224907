"""`place()`: what must never happen, whatever the fleet and the requests."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from model import POLICY, Model, asks, batches, fleets, open_fleets, steps

from pathfinder.domain.messages import REQUESTS, SUPPLY, Kind
from pathfinder.domain.policies import Ties
from pathfinder.domain.resources import Resources
from pathfinder.scheduling import explain
from pathfinder.scheduling.fleet import Fleet, NodeState
from pathfinder.scheduling.ladder import scored, weighted
from pathfinder.scheduling.place import GANG, place
from pathfinder.scheduling.policy import POLICIES, Policy
from pathfinder.scheduling.relations import Relations
from pathfinder.scheduling.request import Ask, Gang, Request

SEEDS = st.integers(0, 2**32)
RESIDENTS = st.lists(st.tuples(st.integers(0, 4), asks()), max_size=4)
SIZES = st.builds(Resources, *[st.integers(0, 3)] * 3)
MODELS = st.builds(Model.of, fleets(), RESIDENTS)


@given(MODELS, batches(), POLICY, SEEDS)
def test_a_container_goes_only_where_every_rule_lets_it(
    model: Model, requests: list[Request], policy: Policy, seed: int
) -> None:
    """No resource of any node is ever overfilled, no hard rule broken, whatever came before in the batch."""
    decisions = place(model.fleet(requests), requests, policy, seed)

    assert [decision.request for decision in decisions] == requests
    for before, decision in steps(model, requests, decisions):
        if decision.index is not None:
            assert before.allows(decision.index, decision.request.ask, policy)


@given(MODELS, batches(), POLICY, SEEDS)
def test_unplaceable_means_that_no_node_could_take_it(
    model: Model, requests: list[Request], policy: Policy, seed: int
) -> None:
    """By trying every node."""
    decisions = place(model.fleet(requests), requests, policy, seed)

    for before, decision in steps(model, requests, decisions):
        assert (decision.index is None) == (not before.placeable(decision.request.ask, policy))


@given(st.builds(Model.of, open_fleets()), st.lists(SIZES, min_size=1, max_size=8), POLICY, SEEDS)
def test_the_overcommit_and_threshold_of_a_policy_bound_what_its_nodes_get(
    model: Model, sizes: list[Resources], policy: Policy, seed: int
) -> None:
    """No more than that, and all of that."""
    requests = [Request(f"r-{number}", Ask(size)) for number, size in enumerate(sizes)]

    for before, decision in steps(model, requests, place(model.fleet(requests), requests, policy, seed)):
        placeable = before.placeable(decision.request.ask, policy)
        assert decision.index in placeable or (decision.index is None and not placeable)


@given(MODELS, batches(), POLICY, SEEDS)
def test_every_node_is_either_possible_or_rejected_once(
    model: Model, requests: list[Request], policy: Policy, seed: int
) -> None:
    """The counts of an explanation add up, and the sentence can be made of them."""
    decisions = place(model.fleet(requests), requests, policy, seed)

    seen: set[Ask] = set()
    for before, decision in steps(model, requests, decisions):
        possible = len(before.placeable(decision.request.ask, policy))
        assert all(one.reason for one in decision.rejected)
        if decision.index is None:
            assert sum(one.nodes for one in decision.rejected) == len(model.nodes)
            assert explain.sentence(decision, len(model.nodes))
            assert decision.candidates == ()
        else:
            if decision.request.ask not in seen:
                assert sum(one.nodes for one in decision.rejected) + possible == len(model.nodes)
            names = [candidate.node for candidate in decision.candidates]
            assert names[0] == model.nodes[decision.index].hostname
            assert len(names) == len(set(names)) == min(possible, 3)
        seen.add(decision.request.ask)


@given(MODELS, batches(), POLICY, SEEDS)
def test_equal_arguments_give_equal_decisions_and_the_fleet_is_left_alone(
    model: Model, requests: list[Request], policy: Policy, seed: int
) -> None:
    """Pure: a decision can be replayed from its explanation's seed."""
    fleet, same = model.fleet(requests), model.fleet(requests)

    decisions = place(fleet, requests, policy, seed)

    assert decisions == place(fleet, requests, policy, seed)
    assert [one.index for one in place(fleet, requests, policy, seed, explain=False)] == [
        one.index for one in decisions
    ]
    for name in ("claimed", "containers", "stateful", "slots"):
        assert (getattr(fleet, name) == getattr(same, name)).all()
    assert {key: list(counts) for key, counts in fleet.tallies.items()} == {
        key: list(counts) for key, counts in same.tallies.items()
    }
    assert fleet.averse.keys() == same.averse.keys()


@given(MODELS, batches(), POLICY, SEEDS)
def test_a_batch_is_placed_as_if_one_by_one_each_on_the_whole_fleet(
    model: Model, requests: list[Request], policy: Policy, seed: int
) -> None:
    """The best of all nodes, to the last digit of its score, and of the best the one whose turn it is."""
    decisions = place(model.fleet(requests), requests, policy, seed)

    turn = np.random.default_rng(seed).permutation(len(model.nodes)).tolist()
    for before, decision in steps(model, requests, decisions):
        if decision.index is None:
            continue
        ask = decision.request.ask
        fleet = before.fleet([decision.request]).working(policy.overcommit)
        parts = scored(fleet, ask, policy)
        scores = weighted(parts, policy)
        wishes = Relations(fleet, ask, policy).score()
        if wishes is not None:
            scores = scores + policy.wishes * wishes
        best = sorted(before.placeable(ask, policy), key=lambda i: (-scores[i], turn[i]))
        chosen = decision.candidates[0]
        assert chosen.score == scores[best[0]]
        assert [chosen.scores[scorer.name] for scorer, _ in policy.scorers] == parts[:, decision.index].tolist()
        assert chosen.scores.get("wishes") == (None if wishes is None else wishes[decision.index])
        if policy.ties is Ties.SEED:  # otherwise each container has turns of its own
            assert decision.index == best[0]
            assert chosen.turn == turn[decision.index]
        assert [one.score for one in decision.candidates] == [scores[i] for i in best[:3]]


@given(MODELS, st.lists(st.tuples(asks(), st.sampled_from([None, "one", "two"])), max_size=8), POLICY, SEEDS)
def test_gangs_are_whole_or_absent(
    model: Model, wanted: list[tuple[Ask, str | None]], policy: Policy, seed: int
) -> None:
    """And what is absent takes nothing: the others are placed as if it had not been there."""
    sizes = {name: sum(gang == name for _, gang in wanted) for name in ("one", "two")}
    requests = [
        Request(str(number), ask, gang=None if gang is None else Gang(gang, sizes[gang]))
        for number, (ask, gang) in enumerate(wanted)
    ]

    decisions = place(model.fleet(requests), requests, policy, seed)

    for name, size in sizes.items():
        ours = [one for one in decisions if one.request.gang and one.request.gang.id == name]
        assert sum(one.index is not None for one in ours) in (0, size)
        if any(one.index is None for one in ours):
            assert all(one.rejected for one in ours) or not model.nodes
    for before, decision in steps(model, requests, decisions):
        if decision.index is not None:
            assert before.allows(decision.index, decision.request.ask, policy)
    if policy.ties is Ties.SEED:
        left = [one.request for one in decisions if one.request.gang is None or one.index is not None]
        alone = place(model.fleet(requests), left, policy, seed)
        assert [one.index for one in alone] == [one.index for one in decisions if one.request in left]


def test_a_gang_of_which_a_part_is_not_there_waits() -> None:
    """Its others may be in another scheduler's hands."""
    (decision,) = place(fleet_of(3), [Request("r", gang=Gang("g", 2))], POLICIES["spread"], 0)

    assert decision.index is None
    assert [one.filter for one in decision.rejected] == [GANG]
    assert explain.sentence(decision, 3).startswith("No node of 3 can take it now")


def fleet_of(count: int) -> Fleet:
    """Equal, empty nodes."""
    return Fleet.of(
        [NodeState(f"{n}", f"node-{n}", True, True, Resources(8, 8, 8), Resources(), 0, 0, {}) for n in range(count)]
    )


def equal(count: int) -> list[Request]:
    """Requests that take an eighth of such a node each."""
    return [Request(str(n), Ask(Resources(1, 1, 1))) for n in range(count)]


@given(SEEDS)
def test_spread_fills_equal_nodes_evenly(seed: int) -> None:
    """No node has two while another has none."""
    chosen = [decision.index for decision in place(fleet_of(3), equal(9), POLICIES["spread"], seed)]

    assert sorted(chosen) == [0, 0, 0, 1, 1, 1, 2, 2, 2]  # type: ignore[type-var]
    assert len(set(chosen[:3])) == 3


@given(SEEDS)
def test_binpack_fills_one_node_before_the_next(seed: int) -> None:
    """Eight fit on one; the ninth opens another."""
    chosen = [decision.index for decision in place(fleet_of(3), equal(9), POLICIES["binpack"], seed)]

    assert len(set(chosen[:8])) == 1
    assert chosen[8] not in chosen[:8]


def test_more_of_a_kind_than_one_look_ahead_shows() -> None:
    """Hundreds on one node: the ladder is climbed again and again."""
    roomy = [replace(one, capacity=Resources(500, 500, 500)) for one in _states(2)]

    decisions = place(Fleet.of(roomy), equal(1001), POLICIES["binpack"], 0)

    indices = [decision.index for decision in decisions]
    assert len(set(indices[:500])) == len(set(indices[500:1000])) == 1
    assert indices[1000] is None
    assert decisions[1000].rejected[0].filter == "fits"


def _states(count: int) -> list[NodeState]:
    return [NodeState(f"{n}", f"node-{n}", True, True, Resources(), Resources(), 0, 0, {}) for n in range(count)]


def test_ties_go_to_different_nodes_with_different_seeds() -> None:
    """Schedulers that look at the same fleet at once rarely fight for one node."""
    for policy in POLICIES.values():
        first = {place(fleet_of(3), [Request("r")], policy, seed)[0].index for seed in range(50)}
        assert first == {0, 1, 2}


def test_random_is_random_for_each_request() -> None:
    """Not one node until it is full."""
    chosen = {decision.index for decision in place(fleet_of(8), equal(8 * 8), POLICIES["random"], 1)[:16]}

    assert len(chosen) > 4


def test_a_cluster_without_nodes_is_told_apart_from_a_full_one() -> None:
    """The sentence says what to do."""
    (decision,) = place(fleet_of(0), [Request("r")], POLICIES["spread"], 0)

    assert explain.sentence(decision, 0) == "Waiting for a node: the cluster has none yet."


@given(MODELS, batches(), POLICY, SEEDS)
def test_whoever_waits_waits_for_something_that_schedulers_hear_of(
    model: Model, requests: list[Request], policy: Policy, seed: int
) -> None:
    """A kind of event that is not in their queue would wake nobody; placements they know of themselves."""
    heard = REQUESTS | SUPPLY | {Kind.CONTAINER_SCHEDULED}
    for decision in place(model.fleet(requests), requests, policy, seed):
        if decision.index is None:
            assert Kind.NODE_REGISTERED in decision.wakes
            assert all(one.filter == GANG or one.wakes <= heard for one in decision.rejected)
