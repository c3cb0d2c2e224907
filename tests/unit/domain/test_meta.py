"""`$pf-meta:` functions: what stands in a template for what each replica is."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pathfinder.domain import meta
from pathfinder.domain.deployed import check_template, spec_of
from pathfinder.domain.deployments import DeploymentSpec
from pathfinder.domain.errors import Invalid
from pathfinder.domain.meta import FUNCTIONS, Facts, render

FACTS = Facts(3, {"db": ("10.0.0.1", "10.0.0.2")})


@pytest.mark.parametrize(
    ("text", "given_"),
    [
        ("$pf-meta:passthrough?value=a%20b", "a b"),
        ("$pf-meta:passthrough?value=", ""),
        ("$pf-meta:passthrough?value=%24pf-meta:x", "$pf-meta:x"),
        ("$pf-meta:container_id", 2),
        ("$pf-meta:deployment_ip_addresses?deployment_name=db", ["10.0.0.1", "10.0.0.2"]),
        ("$pf-meta:deployment_ip_addresses?deployment_name=other", []),
        ("$pf-meta:deployment_host_sequences?host=h", ["1.h", "2.h", "3.h"]),
        ("$pf-meta:deployment_host_sequences?host=h&self_host=me", ["1.h", "me", "3.h"]),
        ("x $pf-meta:container_id", "x $pf-meta:container_id"),
    ],
)
def test_a_text_is_replaced_whole_by_what_its_function_gives(text: str, given_: Any) -> None:
    """As in the older Pathfinder; a text that does not begin with one is left alone."""
    attributes = {"bootstrappers": [{"attributes": {"deep": [{"x": text}], "environment": {"y": text}}}]}

    found = render(attributes, 2, FACTS)["bootstrappers"][0]["attributes"]
    assert found == {"deep": [{"x": given_}], "environment": {"y": given_}}


def test_where_only_text_can_be_numbers_are_written_out_and_lists_joined() -> None:
    """An environment can name the replica, and its peers."""
    template = {
        "environment": {"N": "$pf-meta:container_id"},
        "labels": {"n": "$pf-meta:container_id"},
        "devices": {"eth1": {"vlan": "$pf-meta:container_id"}},
        "config": {"user.db": "$pf-meta:deployment_ip_addresses?deployment_name=db"},
        "bootstrappers": [{"environment": {"HOSTS": "$pf-meta:deployment_host_sequences?host=h"}}],
    }

    assert render(template, 2, FACTS) == {
        "environment": {"N": "2"},
        "labels": {"n": "2"},
        "devices": {"eth1": {"vlan": "2"}},
        "config": {"user.db": "10.0.0.1,10.0.0.2"},
        "bootstrappers": [{"environment": {"HOSTS": "1.h,2.h,3.h"}}],
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("$pf-meta:", "there is no $pf-meta: function ''; there are passthrough, container_id"),
        ("$pf-meta:__class__", "there is no $pf-meta: function"),
        ("$pf-meta:eval?value=1", "there is no $pf-meta: function 'eval'"),
        ("$pf-meta:container_id?x=1", "container_id has no argument 'x'; it takes: none"),
        ("$pf-meta:passthrough", "passthrough needs value: $pf-meta:passthrough?value=…"),
        ("$pf-meta:passthrough?value=1&value=2", "passthrough is given an argument twice"),
        ("$pf-meta:passthrough?" + "&".join(f"a{n}=1" for n in range(9)), "Max number of fields exceeded"),
    ],
)
def test_a_function_that_is_not_right_is_refused_with_its_place(text: str, words: str) -> None:
    """Whether templates are looked at or replicas made."""
    template = {"files": [{"content": text}]}

    for look in (lambda: meta.calls(template), lambda: render(template, 1, FACTS)):
        with pytest.raises(Invalid) as refused:
            look()
        (problem,) = refused.value.problems
        assert problem.field == "files[0].content"
        assert words in problem.message


def test_a_deployment_reads_itself_where_nothing_is_made_anew_for_it() -> None:
    """In bootstrappers; elsewhere each new address would take new containers, for ever."""
    own = "$pf-meta:deployment_ip_addresses?deployment_name=web"
    script = {"type": "script", "script": "x", "environment": {"PEERS": own}}

    assert check_template("web", {"bootstrappers": [script]}, 2).hostname == "web-01"
    with pytest.raises(Invalid) as refused:
        check_template("web", {"bootstrappers": [script], "environment": {"PEERS": own}}, 2)
    assert [one.field for one in refused.value.problems] == ["template.environment.PEERS"]


def test_circles_are_found_however_long() -> None:
    """Who only leads to one is in none; nor is who reads itself."""
    edges = {"a": {"b"}, "b": {"c", "x"}, "c": {"a"}, "d": {"a"}, "e": {"e"}}
    known = {name: frozenset(reads) for name, reads in edges.items()}

    assert meta.cycle("a", known) == ["a", "b", "c", "a"]
    assert meta.cycle("d", known) == []
    assert meta.cycle("e", known) == []


@given(st.dictionaries(st.sampled_from("abcdef"), st.frozensets(st.sampled_from("abcdef"), max_size=3)))
def test_what_is_read_goes_before_who_reads_it(edges: dict[str, frozenset[str]]) -> None:
    """Wherever there is no circle, each name comes once."""
    if any(meta.cycle(name, edges) for name in edges):
        return
    order = meta.in_order(edges)

    assert sorted(order) == sorted(edges)
    for name, reads in edges.items():
        assert all(order.index(read) <= order.index(name) for read in reads & edges.keys())


TEXT = st.text("ab?=&%:", max_size=8)
CALLED = st.sampled_from([*(f"{name}?{'='.join(sorted(one.required))}=" for name, one in FUNCTIONS.items()), ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.builds("$pf-meta:{}{}".format, CALLED, TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["config", "files", "environment", "labels", "cpu"]), JSON, max_size=3))
def test_whatever_is_written_is_made_or_refused(template: dict[str, Any]) -> None:
    """Nothing else ever comes of a template that can be kept; what `calls` takes, `render` takes too."""
    try:
        DeploymentSpec.model_validate({"name": "web", "template": template})
    except ValidationError:
        return
    try:
        calls = meta.calls(template)
    except Invalid:
        with pytest.raises(Invalid):
            render(template, 1, FACTS)
    else:
        assert all(call.name in FUNCTIONS for call in calls)
        render(template, 1, FACTS)
    with suppress(Invalid):
        spec_of("web", template, 1, FACTS)
