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
