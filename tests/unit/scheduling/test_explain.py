"""Documents of decisions: all that is needed to make each decision again, after it was written down and read."""

import orjson
from hypothesis import given
from hypothesis import strategies as st
from model import POLICY, Model, asks, batches, fleets

from pathfinder.domain.resources import Resources
from pathfinder.scheduling import explain
from pathfinder.scheduling.fleet import NodeState
from pathfinder.scheduling.place import Decision, place
from pathfinder.scheduling.policy import Policy, named
from pathfinder.scheduling.request import Request

MODELS = st.builds(Model.of, fleets(), st.lists(st.tuples(st.integers(0, 4), asks()), max_size=4))


def documents(decisions: list[Decision], policy: Policy, nodes: int) -> list[tuple[Decision, dict[str, object]]]:
    """Each decision with its document, as it is read from the store."""
    kinds: dict[object, list[Decision]] = {}
    for one in decisions:
        kinds.setdefault(explain.kind(one), []).append(one)
    stored = {kind: orjson.loads(orjson.dumps(explain.document(same, policy, nodes))) for kind, same in kinds.items()}
    return [(one, stored[explain.kind(one)]) for one in decisions]


@given(MODELS, batches(), POLICY, st.integers(0, 2**32))
def test_every_decision_can_be_made_again_from_what_is_stored(
    model: Model, requests: list[Request], policy: Policy, seed: int
) -> None:
    """The same node, with the same numbers to the last digit; nothing for whoever waits."""
    decisions = place(model.fleet(requests), requests, policy, seed)

    for decision, stored in documents(decisions, policy, len(model.nodes)):
        told = explain.about(stored, decision.request.id)
        node = None if decision.index is None else model.nodes[decision.index].hostname
        assert explain.recompute(stored, decision.request.id) == told["recomputed"] == node
        assert [one["scores"] for one in told["candidates"]] == [one.scores for one in decision.candidates]
        assert [(one["filter"], one["nodes"]) for one in told["rejections"]] == [
            (one.filter, one.nodes) for one in decision.rejected
        ]


def test_documents_that_tell_positions_are_read_as_those_that_tell_the_order() -> None:
    """Decisions are kept for weeks, and those of the version before tell positions by container."""
    size = Resources(8, 8, 8)
    model = Model.of([NodeState(str(one), f"n{one}", True, True, size, Resources(), 0, 0, {}) for one in range(3)], [])
    requests = [Request(str(number)) for number in range(4)]
    decisions = place(model.fleet(requests), requests, named("spread"), 1)
    ((_, stored), *_) = documents(decisions, named("spread"), 3)
    before = {key: value for key, value in stored.items() if key != "order"}
    before["placed"] = {id_: position for position, id_ in enumerate(stored["order"])}  # type: ignore[arg-type]

    for one in decisions:
        assert explain.about(before, one.request.id) == explain.about(stored, one.request.id)
