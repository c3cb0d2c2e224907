"""What a node is told to make."""

from dataclasses import fields
from datetime import UTC, datetime
from uuid import UUID

from pathfinder.domain.containers import Container
from pathfinder.domain.instances import InstanceOrder
from pathfinder.domain.lifecycle import ContainerType, Status
from pathfinder.domain.resources import Resources

REQUEST = Resources(500, 1 << 28, 1 << 30)


def container(**spec: object) -> Container:
    """A container that asks for REQUEST."""
    return Container(
        id=UUID(int=1),
        cluster_id=UUID(int=2),
        hostname="web",
        image="tiny",
        type=ContainerType.STATELESS,
        status=Status.SCHEDULED,
        generation=1,
        node_id=UUID(int=3),
        node="node-01",
        ipaddress=None,
        resources=REQUEST,
        spec={"profiles": ["default"], "config": {}, "devices": {}, **spec},
        waiting=False,
        message=None,
        decision_id=None,
        trace_id="",
        status_at=datetime.now(UTC),
    )


def test_an_instance_is_held_to_what_was_asked_for_unless_limits_say_more() -> None:
    """What it claims stays what was asked for."""
    assert container().order["resources"] == REQUEST

    generous = container(limits={"cpu": 4000, "disk": 1 << 34})

    assert generous.order["resources"] == Resources(4000, 1 << 28, 1 << 34)
    assert generous.resources == REQUEST


def test_a_node_is_told_all_that_an_order_has() -> None:
    """Field by field, so that the agent can make one of it."""
    assert list(container().order) == [field.name for field in fields(InstanceOrder)]
