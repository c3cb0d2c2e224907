"""What it takes to make a replica anew: the least that does it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from pathfinder.controllers import renewal
from pathfinder.domain.containers import Container
from pathfinder.domain.lifecycle import Status
from pathfinder.domain.rollouts import Change
from pathfinder.domain.specs import ContainerSpec
from pathfinder.store.containers import _kept

SCRIPT = {"type": "script", "script": "true"}


def made_of(spec: ContainerSpec) -> Container:
    """The container that was asked for so."""
    return Container(
        id=UUID(int=1),
        cluster_id=UUID(int=2),
        hostname=spec.hostname,
        image=spec.image or "local:tiny",
        type=spec.type,
        status=Status.PROVISIONED,
        generation=1,
        node_id=None,
        node=None,
        ipaddress=None,
        resources=spec.resources,
        spec=_kept(spec.shape),
        waiting=False,
        message=None,
        decision_id=None,
        trace_id="",
        status_at=datetime(2026, 1, 1, tzinfo=UTC),
        labels=spec.labels,
        priority=spec.priority,
        policy=spec.policy,
    )


def wish(**fields: Any) -> ContainerSpec:
    """What a template says."""
    return ContainerSpec.model_validate({"hostname": "web-01", "memory": "64MiB", "bootstrappers": [SCRIPT]} | fields)


@pytest.mark.parametrize(
    ("fields", "change"),
    [
        ({}, Change.NONE),
        ({"labels": {"tier": "web"}}, Change.RECORD),
        ({"priority": 5, "max_attempts": 9}, Change.RECORD),
        ({"labels": {"tier": "web"}, "budget": {"of": "tier=web"}}, Change.RECORD),
        ({"bootstrappers": []}, Change.RECORD),
        ({"limits": {"memory": "1GiB"}}, Change.LIVE),
        ({"config": {"limits.processes": "100", "user.note": "x"}}, Change.LIVE),
        ({"checks": [{"tcp": {"port": 80}}], "labels": {"tier": "web"}}, Change.LIVE),
        ({"bootstrappers": [SCRIPT, SCRIPT]}, Change.REBOOTSTRAP),
        ({"bootstrappers": [SCRIPT, SCRIPT], "limits": {"memory": "1GiB"}}, Change.LIVE),
        ({"config": {"security.nesting": "true"}}, Change.REBUILD),
        ({"environment": {"N": "1"}}, Change.REBUILD),
        ({"memory": "65MiB"}, Change.REBUILD),
        ({"profiles": ["default", "web"]}, Change.REBUILD),
        ({"type": "stateful"}, Change.REBUILD),
    ],
)
def test_a_change_takes_as_little_as_it_can(fields: dict[str, Any], change: Change) -> None:
    """The most that one of its fields takes; what is equal takes nothing, whichever is the older."""
    assert renewal.change(made_of(wish()), wish(**fields), "local:tiny") is change
    assert (renewal.change(made_of(wish(**fields)), wish(**fields), "local:tiny")) is Change.NONE


def test_another_image_is_another_container() -> None:
    """Also when it is the cluster's default."""
    assert renewal.change(made_of(wish()), wish(), "local:other") is Change.REBUILD
