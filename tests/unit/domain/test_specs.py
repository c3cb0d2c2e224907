"""What clients send, checked field by field."""

from typing import Any

import pytest
from pydantic import ValidationError

from pathfinder.domain.lifecycle import ContainerType
from pathfinder.domain.resources import Resources
from pathfinder.domain.specs import MAX_BATCH, ClusterSpec, ContainerBatch, ContainerSpec


def test_the_smallest_request_is_a_name() -> None:
    """Everything else has a default."""
    spec = ContainerSpec.model_validate({"hostname": "web"})

    assert spec.resources == Resources(0, 0, 0)
    assert (spec.image, spec.type, spec.profiles) == (None, ContainerType.STATELESS, ["default"])


def test_amounts_are_read_in_any_form() -> None:
    """Numbers and words."""
    spec = ContainerSpec.model_validate({"hostname": "web", "cpu": 0.5, "memory": "512MiB", "disk": 10**9})

    assert spec.resources == Resources(500, 512 << 20, 10**9)


def test_the_type_may_be_written_small() -> None:
    """As people do."""
    assert ContainerSpec.model_validate({"hostname": "a", "type": "stateful"}).type == ContainerType.STATEFUL


@pytest.mark.parametrize(
    "fields",
    [
        {"hostname": "Not_A_Name"},
        {"hostname": 7},
        {"hostname": None},
        {"cpu": -1},
        {"cpu": True},
        {"cpu": []},
        {"cpu": float("nan")},
        {"cpu": 1e300},
        {"memory": "-1GiB"},
        {"memory": "1KiB"},
        {"memory": 1.5},
        {"memory": False},
        {"memory": "9" * 400},
        {"memory": 10**30},
        {"disk": "1000000000TiB"},
        {"disk": {"size": 1}},
        {"image": "no image"},
        {"image": ""},
        {"type": "IMMORTAL"},
        {"type": 1},
        {"labels": {"a b": "c"}},
        {"labels": {"a": "c d"}},
        {"labels": {f"k{n}": "" for n in range(65)}},
        {"node_labels": ["zone=a"]},
        {"profiles": [""]},
        {"profiles": "default"},
        {"config": {"limits.memory": "1GiB"}},
        {"config": {"user.pathfinder.container": "stolen"}},
        {"config": {"volatile.idmap.base": "0"}},
        {"config": {"a": 1}},
        {"config": {"a": "b" * 65_537}},
        {"devices": {"eth0": "nic"}},
        {"max_attempts": 0},
        {"max_attempts": 101},
        {"max_attempts": None},
        {"memroy": "512MiB"},
    ],
)
def test_a_wrong_field_is_refused(fields: dict[str, Any]) -> None:
    """Never silently ignored, never rounded into something that fits."""
    with pytest.raises(ValidationError):
        ContainerSpec.model_validate({"hostname": "web"} | fields)


@pytest.mark.parametrize("count", [0, MAX_BATCH + 1])
def test_a_batch_is_bounded(count: int) -> None:
    """Neither empty nor endless."""
    with pytest.raises(ValidationError):
        ContainerBatch.model_validate({"containers": [{"hostname": f"c-{n}"} for n in range(count)]})


def test_a_cluster_is_named_like_a_host() -> None:
    """Its name stands in URLs."""
    with pytest.raises(ValidationError, match="host name"):
        ClusterSpec.model_validate({"name": "a/b"})


def test_limits_are_the_request_where_nothing_else_is_said() -> None:
    """And may be above it, each for itself."""
    spec = ContainerSpec.model_validate(
        {"hostname": "a", "cpu": 1, "memory": "1GiB", "limits": {"cpu": 4, "disk": "9GiB"}}
    )

    assert spec.limits.over(spec.resources) == Resources(4000, 1 << 30, 9 << 30)


def test_what_is_asked_of_a_placement_is_kept_in_one_way_of_writing() -> None:
    """However it was written."""
    spec = ContainerSpec.model_validate(
        {
            "hostname": "a",
            "labels": {"app": "web"},
            "constraints": [" zone  in ( b,a ) ", "! legacy", "cores>8"],
            "architecture": "amd64",
            "tolerations": ["*", "dedicated = db".replace(" ", "")],
            "affinity": [{"to": "app == web", "rule": "apart", "over": "node"}],
            "spread": [{"of": "app=web", "over": "zone", "weights": {"a": 2}}],
            "budget": {"of": "app=web"},
        }
    )

    assert {key: spec.document()[key] for key in ("constraints", "tolerations", "affinity", "spread", "budget")} == {
        "constraints": ["zone in (a, b)", "!legacy", "cores>8"],
        "tolerations": ["*", "dedicated=db"],
        "affinity": [{"to": "app=web", "rule": "apart"}],
        "spread": [{"of": "app=web", "over": "zone", "weights": {"a": 2.0}}],
        "budget": {"of": "app=web"},
    }
    assert spec.architecture == "x86_64"
    assert spec.averse


def test_a_container_that_asks_for_nothing_special_tells_of_nothing_special() -> None:
    """Neither its row nor its event grow with what may be asked."""
    document = ContainerSpec.model_validate({"hostname": "a"}).document()

    assert set(document) == {
        *("hostname", "image", "type", "cpu", "memory", "disk", "labels", "node_labels"),
        *("profiles", "config", "devices", "max_attempts"),
    }


@pytest.mark.parametrize(
    ("field", "fields", "words"),
    [
        ("limits", {"cpu": 2, "limits": {"cpu": 1}}, "below"),
        ("limits.cores", {"limits": {"cores": 1}}, ""),
        ("limits.memory", {"limits": {"memory": "lots"}}, "size"),
        ("constraints", {"constraints": ["a=1", "a=2"]}, "contradict"),
        ("constraints", {"constraints": ["a>5", "a<3"]}, "contradict"),
        ("constraints", {"constraints": ["zone=a"], "node_labels": {"zone": "b"}}, "contradict"),
        ("constraints", {"constraints": ["node.architecture=aarch64"], "architecture": "amd64"}, "contradict"),
        ("constraints", {"node_labels": {"node.architecture": "s390x"}, "architecture": "amd64"}, "x86_64"),
        ("constraints.0", {"constraints": ["a ~ b"]}, "write KEY"),
        ("constraints.0", {"constraints": ["a > b"]}, "number"),
        ("constraints.0", {"constraints": [""]}, "write KEY"),
        ("tolerations.0", {"tolerations": ["a b"]}, "label key"),
        ("pool", {"pool": "No"}, "host name"),
        ("architecture", {"architecture": "x 86"}, "label value"),
        ("affinity.0.to", {"affinity": [{"to": ""}]}, "at least one label"),
        ("affinity.0.weight", {"affinity": [{"to": "a", "weight": float("nan")}]}, "finite"),
        ("affinity.0.weight", {"affinity": [{"to": "a", "weight": -1}]}, "greater"),
        ("affinity.0.rule", {"affinity": [{"to": "a", "rule": "near"}]}, "together"),
        ("affinity.0.near", {"affinity": [{"to": "a", "near": True}]}, ""),
        ("affinity", {"affinity": [{"to": "a"}, {"to": "a", "rule": "apart"}]}, "impossible"),
        ("spread.0.max_skew", {"spread": [{"of": "a", "max_skew": 0}]}, "greater"),
        ("spread.0.weights.x", {"spread": [{"of": "a", "weights": {"x": 0}}]}, "greater"),
        ("spread.0.weights.x", {"spread": [{"of": "a", "weights": {"x": float("inf")}}]}, "finite"),
        ("spread", {"spread": [{"of": "app=web"}]}, "own labels"),
        ("budget", {"budget": {"of": "app=web"}}, "own labels"),
        ("priority", {"priority": 1001}, "less"),
        ("priority", {"priority": -1001}, "greater"),
        ("policy", {"policy": ""}, "at least 1"),
        ("gang", {"gang": {"id": "x", "size": 2}}, ""),
    ],
)
def test_what_no_placement_could_heed_is_refused_with_its_field(field: str, fields: dict[str, Any], words: str) -> None:
    """So that nobody waits for what cannot be."""
    with pytest.raises(ValidationError) as refused:
        ContainerSpec.model_validate({"hostname": "a", **fields})

    (problem,) = refused.value.errors()
    assert ".".join(str(part) for part in problem["loc"]) == field
    assert words in problem["msg"]


def test_equal_containers_of_a_batch_are_what_each_would_be_alone() -> None:
    """They are checked once, and share what they were asked for."""
    asked = [
        {"hostname": f"web-{number}", "cpu": 1 + number % 2, "labels": {"app": "web"}, "constraints": ["zone=a"]}
        for number in range(6)
    ]

    batch = ContainerBatch.model_validate({"containers": asked})

    alone = [ContainerSpec.model_validate(one) for one in asked]
    assert [one.document() for one in batch.containers] == [one.document() for one in alone]
    assert [one.resources for one in batch.containers] == [one.resources for one in alone]
    assert batch.containers[0].shape is batch.containers[2].shape


@pytest.mark.parametrize("wrong", [{"hostname": "No!"}, {}, {"hostname": 5}, {"hostname": "a", "cpu": -1}, "a", None])
def test_what_is_wrong_in_a_batch_of_equal_containers_is_told_by_its_place(wrong: Any) -> None:
    """As if every container was checked by itself."""
    with pytest.raises(ValidationError) as refused:
        ContainerBatch.model_validate({"containers": [{"hostname": "a"}, {"hostname": "b"}, wrong, {"hostname": "c"}]})

    assert {problem["loc"][:2] for problem in refused.value.errors()} == {("containers", 2)}


def test_a_batch_of_equal_containers_has_the_same_bound() -> None:
    """However few shapes are in it."""
    with pytest.raises(ValidationError):
        ContainerBatch.model_validate({"containers": [{"hostname": f"a-{n}"} for n in range(MAX_BATCH + 1)]})
