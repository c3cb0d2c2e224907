"""What a node is told to make."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pathfinder.domain import commands
from pathfinder.domain.bootstrapping import File
from pathfinder.domain.containers import Container
from pathfinder.domain.instances import InstanceOrder
from pathfinder.domain.lifecycle import ContainerType, Status
from pathfinder.domain.messages import decode, encode
from pathfinder.domain.resources import Resources
from workers.agent.worklist import read_order

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


def test_an_order_that_asks_for_nothing_new_is_one_that_agents_of_former_versions_read() -> None:
    """They refuse fields they do not know."""
    assert container().order.keys() == {
        *("hostname", "container_id", "generation", "cluster_id", "image", "type", "resources", "profiles", "config"),
        "devices",
    }


def test_an_order_arrives_as_it_was_given() -> None:
    """Over RabbitMQ, with everything that may be asked for."""
    asked: dict[str, Any] = {
        "environment": {"STAGE": "test"},
        "files": [{"path": "/etc/motd", "content": "hello", "mode": "0600"}],
        "user_data": "#cloud-config",
        "checks": [{"name": "web", "tcp": {"port": 80}}],
        "restart": {"replace_after": 2},
    }
    wanted = replace(container(**asked), deployment_id=UUID(int=4))

    (received,) = decode(encode([commands.provision(wanted, 7)]))

    order = read_order(received)
    assert list(wanted.order) == [field.name for field in fields(InstanceOrder)]
    assert order.files == (File(path="/etc/motd", content="hello", mode="0600"),)
    for name, value in asked.items():
        assert name == "files" or getattr(order, name) == (tuple(value) if name == "checks" else value)
