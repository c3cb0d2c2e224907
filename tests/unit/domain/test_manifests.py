"""What can be declared in files: its schema, its differences, and what replicas are made of."""

from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator, meta
from pydantic import ValidationError

from pathfinder.domain import manifests
from pathfinder.domain.deployed import spec_of
from pathfinder.domain.deployments import DeploymentSpec
from pathfinder.domain.differences import Difference, differences
from pathfinder.domain.meta import Facts

VALIDATOR = Draft202012Validator(manifests.schema())


@pytest.mark.parametrize(
    ("document", "right"),
    [
        ({"kind": "Deployment", "name": "web", "template": {"memory": "1GiB", "cpu": 0.5}}, True),
        ({"kind": "Deployment", "name": "web", "template": {"config": {"user.n": "$pf-meta:container_id"}}}, True),
        ({"kind": "Deployment", "name": "web", "template": {"priority": "$pf-meta:container_id"}}, True),
        ({"kind": "Deployment", "name": "web", "template": {"priority": "high"}}, False),
        ({"kind": "Deployment", "name": "web", "template": {"hostname": "x"}}, False),
        ({"kind": "Deployment", "name": "web", "template": {"checks": [{"tcp": {"port": 70000}}]}}, False),
        ({"kind": "Deployment", "name": "web", "template": {"checks": [{"tcp": {"port": 80}}]}}, True),
        ({"kind": "Deployment", "name": "web"}, False),
        ({"kind": "Deployment", "name": "web", "template": {}, "strategy": {"type": "canary", "canaries": 2}}, True),
        ({"kind": "Deployment", "name": "web", "template": {}, "strategy": {"type": "swift"}}, False),
        ({"kind": "Policy", "name": "mine", "scorers": {"balance": 1}}, True),
        ({"kind": "Policy", "name": "mine", "template": {}}, False),
        ({"kind": "Cluster", "name": "two", "quota": {"memory": "1TiB"}}, True),
        ({"kind": "Pod", "name": "x"}, False),
        ({"name": "x"}, False),
    ],
)
def test_editors_find_what_is_wrong(document: dict[str, Any], right: bool) -> None:
    """By the schema, as far as a schema can tell."""
    assert meta.is_valid(manifests.schema())

    assert VALIDATOR.is_valid(document) is right


def test_differences_are_told_field_by_field() -> None:
    """What is left out, null and empty is the same; true is not 1."""
    before = {"a": 1, "b": {"c": [1, {"d": 2}]}, "e": "x", "g": None, "h": {"x": 1}, "i": 1}
    after = {"a": 1, "b": {"c": [1, {"d": 3}, 4]}, "f": "y", "g": {}, "h": None, "i": True}

    assert differences(before, after) == [
        Difference("b.c[1].d", 2, 3),
        Difference("b.c[2]", None, 4),
        Difference("f", None, "y"),
        Difference("h.x", 1, None),
        Difference("i", 1, True),
        Difference("e", "x", None),
    ]


VALUES = st.recursive(
    st.integers(0, 2) | st.text("ab", min_size=1, max_size=2),
    lambda inner: st.lists(inner, min_size=1, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, min_size=1),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from("abc"), VALUES), st.dictionaries(st.sampled_from("abc"), VALUES))
def test_documents_differ_exactly_where_differences_are_told(before: dict[str, Any], after: dict[str, Any]) -> None:
    """None where they are equal, some where they are not; the other way round the same fields."""
    found = differences(before, after)

    assert bool(found) is (before != after)
    other_way = {one.field: one.after for one in differences(after, before)}
    assert {one.field: one.before for one in found} == other_way


def test_replicas_know_whose_they_are_and_share_what_is_equal() -> None:
    """By a label that rules about their company can name; equal ones are checked once."""
    template = {"memory": "64MiB", "spread": [{"of": "deployment=web"}]}

    first, tenth = (spec_of("web", template, number, Facts(10)) for number in (1, 10))
    assert (first.hostname, tenth.hostname, first.labels) == ("web-01", "web-10", {"deployment": "web"})
    assert first.shape is tenth.shape


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ({"config": {"a": "\0"}}, "config.a: holds a character"),
        ({"config": {"\ud800": "x"}}, "holds a character"),
        ({"checks": [{"x": 1 << 63}]}, "checks[0].x: is too great a number"),
        ({"x": float("nan")}, "x: is not a finite number"),
        ({"x": reduce(lambda inner, _: [inner], range(99), [1])}, "is nested more than 64 deep"),
    ],
)
def test_what_could_not_be_kept_is_refused(template: dict[str, Any], words: str) -> None:
    """With its place in the template, and text that can be sent."""
    with pytest.raises(ValidationError) as refused:
        DeploymentSpec.model_validate({"name": "web", "template": template})
    assert words in str(refused.value)
    assert refused.value.errors()[0]["msg"].encode()
