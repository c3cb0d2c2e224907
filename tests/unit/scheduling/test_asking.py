"""Containers as requests."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from pathfinder.domain.asking import NODE, Affinity, Spread, Toleration
from pathfinder.domain.containers import Container
from pathfinder.domain.lifecycle import ContainerType, Status
from pathfinder.domain.resources import Resources
from pathfinder.domain.selectors import Selector
from pathfinder.domain.specs import ContainerSpec
from pathfinder.scheduling import asking
from pathfinder.scheduling.request import Ask, Gang

WEB = Selector.parse("app=web")


def container(gang: UUID | None = None, **wishes: Any) -> Container:
    """A pending container that asks for this, as its row would have it."""
    spec = ContainerSpec.model_validate({"hostname": "web", **wishes})
    return Container(
        id=uuid4(),
        cluster_id=UUID(int=1),
        hostname="web",
        image="tiny",
        type=spec.type,
        status=Status.PENDING,
        generation=0,
        node_id=None,
        node=None,
        ipaddress=None,
        resources=spec.resources,
        spec=spec.document(),
        waiting=False,
        message=None,
        decision_id=None,
        trace_id="",
        status_at=datetime.now(UTC),
        priority=spec.priority,
        labels=spec.labels,
        gang=gang,
    )


def test_a_plain_container_asks_for_its_size_alone() -> None:
    """Whatever its labels are: nobody chooses by them."""
    asked = asking.of(container(cpu=1, labels={"app": "web"}))

    assert asked == Ask(resources=Resources(1000), image="tiny")


def test_everything_that_is_asked_for_reaches_the_engine() -> None:
    """Field by field."""
    asked = asking.of(
        container(
            type="STATEFUL",
            labels={"app": "web", "own": "7"},
            node_labels={"zone": "a"},
            constraints=["gpu", "cores>8"],
            architecture="arm64",
            pool="*",
            tolerations=["*", "dedicated=db"],
            affinity=[
                {"to": "app=web", "rule": "apart"},
                {"to": "app=db", "over": "zone", "required": False, "weight": 3},
            ],
            spread=[{"of": "app=web", "over": "zone", "max_skew": 2, "weights": {"b": 2, "a": 1}}],
            priority=7,
            limits={"cpu": 4},
        ),
        keys={"app"},
    )

    assert asked == Ask(
        resources=Resources(),
        stateful=True,
        constraints=Selector.of(["zone=a", "gpu", "cores>8", "node.architecture=aarch64"]),
        tolerations=(Toleration(), Toleration("dedicated", "db")),
        affinities=(
            Affinity(WEB, NODE, apart=True),
            Affinity(Selector.parse("app=db"), "zone", required=False, weight=3.0),
        ),
        spreads=(Spread(WEB, "zone", 2, weights=(("a", 1.0), ("b", 2.0))),),
        labels=(("app", "web"),),
        priority=7,
        image="tiny",
        pool="*",
    )


def test_equal_wishes_are_one_kind_whatever_nobody_chooses_by() -> None:
    """So that they are placed together."""
    many = [container(cpu=1, labels={"app": "web", "own": str(n)}) for n in range(5)]

    assert len({one.ask for one in asking.requests(many, {}, ["app"])}) == 1
    assert len({one.ask for one in asking.requests(many, {}, ["own"])}) == 5


def test_a_request_knows_where_it_failed_and_what_its_gang_is() -> None:
    """All of the gang that is there."""
    gang = uuid4()
    first, second, third = container(gang), container(gang), container()

    requests = asking.requests([first, second, third], {second.id: ("node-01",)})

    assert [one.gang for one in requests] == [Gang(str(gang), 2), Gang(str(gang), 2), None]
    assert [one.avoid for one in requests] == [(), ("node-01",), ()]
    assert [one.id for one in requests] == [str(first.id), str(second.id), str(third.id)]


def test_a_request_knows_whether_it_waited() -> None:
    """So that others do not overtake it."""
    new = container()

    assert [one.waited for one in asking.requests([new, replace(new, waiting=True)], {})] == [False, True]


def test_a_row_of_before_is_read_as_one_that_asks_for_nothing_more() -> None:
    """Its spec has none of the newer fields."""
    spec = {"profiles": ["default"], "config": {}, "devices": {}, "node_labels": {"zone": "a"}}

    asked = asking.ask(Resources(1), ContainerType.STATELESS, "tiny", spec)

    assert asked == Ask(resources=Resources(1), constraints=WEB.parse("zone=a"), image="tiny")
