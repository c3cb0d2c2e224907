"""Policy documents: what may be written, and that it means the same however often it is read and written."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pathfinder.domain.errors import Invalid
from pathfinder.domain.policies import Overcommit, PolicyDocument, Preemption, Ties
from pathfinder.scheduling import policy
from pathfinder.scheduling.filters import FILTERS
from pathfinder.scheduling.filters.memory_in_use import MemoryInUse
from pathfinder.scheduling.policy import ALWAYS, POLICIES, compiled
from pathfinder.scheduling.scorers import SCORERS

WEIGHTS = st.floats(-1000, 1000, allow_nan=False)
RATIOS = st.floats(0.1, 100)
DOCUMENTS = st.builds(
    PolicyDocument,
    name=st.just("mine"),
    description=st.text(max_size=20),
    filters=st.none() | st.lists(st.sampled_from(sorted(FILTERS)), unique=True),
    scorers=st.dictionaries(st.sampled_from(sorted(SCORERS)), WEIGHTS, min_size=1).filter(lambda it: any(it.values())),
    ties=st.sampled_from(Ties),
    wishes=st.floats(0, 1000),
    overcommit=st.builds(Overcommit, cpu=RATIOS, memory=RATIOS, disk=RATIOS),
    memory_threshold=st.floats(0, 1),
    preemption=st.builds(Preemption, enabled=st.booleans()),
)


def minimal(**changes: Any) -> dict[str, Any]:
    """The least that must be written."""
    return {"name": "mine", "scorers": {"balance": 1.0}} | changes


def wrong(document: dict[str, Any]) -> list[str]:
    """Where a document is refused."""
    with pytest.raises(ValidationError) as refused:
        PolicyDocument.model_validate(document)
    return [".".join(map(str, one["loc"])) for one in refused.value.errors()]


@given(DOCUMENTS)
def test_any_valid_document_compiles_and_comes_back(document: PolicyDocument) -> None:
    """What it is read as is written as a document that means the same, in JSON and in YAML."""
    made = compiled(document, 3)
    written = made.document()

    assert compiled(written, 3) == made
    assert compiled(PolicyDocument.model_validate(json.loads(written.model_dump_json())), 3) == made
    assert (
        compiled(PolicyDocument.model_validate(yaml.safe_load(yaml.dump(written.model_dump(mode="json")))), 3) == made
    )
    assert written.model_copy(update={"filters": document.filters}) == document
    assert {name for name, weight in made.document().scorers.items()} == set(document.scorers)


@given(DOCUMENTS)
def test_what_keeps_a_promise_is_never_left_out(document: PolicyDocument) -> None:
    """Whatever filters a document lists, those of ALWAYS are in force; and they come in the order of the registry."""
    names = [rule.name for rule in compiled(document).filters]

    assert set(ALWAYS) <= set(names)
    assert set(names) - set(ALWAYS) <= {"memory-in-use"}
    assert names == [name for name in FILTERS if name in names]


@given(DOCUMENTS)
def test_a_threshold_holds_whatever_filters_are_listed(document: PolicyDocument) -> None:
    """Who writes one need not name the filter that heeds it."""
    made = compiled(document)
    judging = [rule for rule in made.filters if isinstance(rule, MemoryInUse)]

    assert made.memory_threshold == document.memory_threshold
    if document.memory_threshold < 1:
        assert [rule.threshold for rule in judging] == [document.memory_threshold]


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), float("-inf"), 1000.5, "1", True, None, [1]])
@given(scorer=st.sampled_from(sorted(SCORERS)), good=st.floats(0.5, 2))
def test_any_document_with_a_bad_weight_is_refused(weight: object, scorer: str, good: float) -> None:
    """And the field is named."""
    assert wrong(minimal(scorers={"balance": good, scorer: weight})) == [f"scorers.{scorer}"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"scorers": {}}, "scorers"),
        ({"scorers": {"balance": 0, "used-share": -0.0}}, "scorers"),
        ({"name": "No good"}, "name"),
        ({"filters": ["fits", "fits"]}, "filters"),
        ({"ties": "coin"}, "ties"),
        ({"wishes": float("nan")}, "wishes"),
        ({"overcommit": {"cpu": 0.0}}, "overcommit.cpu"),
        ({"overcommit": {"memory": float("inf")}}, "overcommit.memory"),
        ({"overcommit": {"gpu": 2.0}}, "overcommit.gpu"),
        ({"memory_threshold": 1.5}, "memory_threshold"),
        ({"preemption": True}, "preemption"),
        ({"preemption": {"enabled": "yes"}}, "preemption.enabled"),
        ({"weights": {}}, "weights"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(changes: dict[str, Any], field: str) -> None:
    """Nothing is guessed."""
    assert wrong(minimal(**changes)) == [field]


def test_rules_that_are_not_there_are_named_with_what_may_have_been_meant() -> None:
    """All of them at once."""
    document = PolicyDocument.model_validate(minimal(filters=["fits", "fit"], scorers={"balence": 1.0, "balance": 1.0}))

    with pytest.raises(Invalid) as refused:
        compiled(document)

    assert [one.field for one in refused.value.problems] == ["filters[1]", "scorers.balence"]
    assert "did you mean 'balance'?" in refused.value.problems[1].message


def test_the_built_in_policies_are_documents_of_version_0() -> None:
    """Each can be copied: its document under another name compiles to the same policy."""
    assert list(POLICIES) == ["spread", "binpack", "balanced", "least-loaded", "image-locality", "random"]
    for name, built_in in POLICIES.items():
        assert built_in.version == 0
        assert built_in.description
        assert compiled(built_in.document()) == built_in
        assert compiled(built_in.document().model_copy(update={"name": "copy"})).scorers == built_in.scorers, name


def test_an_unknown_policy_is_told_with_those_there_are() -> None:
    """People's own ones too."""
    assert str(policy.unknown("spraed", ["ours"])) == (
        "There is no policy named 'spraed'; choose one of spread, binpack, balanced, least-loaded, image-locality, "
        "random, ours. Did you mean 'spread'?"
    )
