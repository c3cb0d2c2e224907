"""What a node's full list tells, and what is left alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from pathfinder.controllers.inventory import MOST_UNDER_WAY, Listed, Repair, compare, taken
from pathfinder.domain.containers import Container
from pathfinder.domain.errors import MalformedMessage
from pathfinder.domain.lifecycle import ContainerType, Status
from pathfinder.domain.messages import Command, Kind
from pathfinder.domain.resources import Resources

NOW = datetime(2026, 11, 23, tzinfo=UTC)
GRACE = timedelta(seconds=30)
LONG_AGO = NOW - timedelta(hours=1)
ID = UUID(int=7)


def container(status: Status, **changes: object) -> Container:
    """A container whose status has stood for an hour."""
    made = Container(
        ID,
        UUID(int=8),
        "web",
        "local:tiny",
        ContainerType.STATELESS,
        status,
        3,
        UUID(int=1),
        "node-01",
        "10.0.0.9",
        Resources(),
        {},
        False,
        None,
        None,
        "",
        LONG_AGO,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def listed(**changes: object) -> Listed:
    """Its instance, running, known for an hour."""
    return replace(Listed(str(ID), "web", 3, True, "10.0.0.9", 3600.0), **changes)  # type: ignore[arg-type]


def only(repairs: list[Repair]) -> Repair:
    """The one repair."""
    (repair,) = repairs
    return repair


def test_a_list_that_matches_needs_no_repair() -> None:
    """Also when it is told again."""
    assert compare([container(Status.PROVISIONED)], [listed()], [], NOW, GRACE) == []


def test_an_instance_removed_behind_our_back_is_brought_back() -> None:
    """The same placement is provisioned again, and the log tells why."""
    repair = only(compare([container(Status.PROVISIONED)], [], [], NOW, GRACE))

    assert (repair.command, repair.fact) == (Command.PROVISION, Kind.CONTAINER_MISSING)
    assert repair.container is not None
    assert (repair.container.status, repair.container.generation) == (Status.SCHEDULED, 3)
    assert repair.body == {"why": "removed behind Pathfinder's back"}


def test_an_instance_that_was_stopped_is_started_again() -> None:
    """As far as the container is wanted running."""
    repair = only(compare([container(Status.PROVISIONED)], [listed(running=False)], [], NOW, GRACE))

    assert repair.body == {"why": "not running"}
    assert repair.command == Command.PROVISION


def test_an_instance_of_an_older_placement_is_not_the_containers_own() -> None:
    """It goes, and the container's own is made."""
    repairs = compare([container(Status.PROVISIONED)], [listed(generation=2)], [], NOW, GRACE)

    assert [(one.command, one.generation) for one in repairs] == [(Command.PROVISION, 3), (Command.DELETE, 2)]


def test_a_changed_address_is_noted() -> None:
    """A restart may bring another one; a list without one says nothing."""
    repair = only(compare([container(Status.PROVISIONED)], [listed(address="10.0.0.10")], [], NOW, GRACE))

    assert repair.container == container(Status.PROVISIONED, ipaddress="10.0.0.10")
    assert repair.command is None
    assert compare([container(Status.PROVISIONED)], [listed(address=None)], [], NOW, GRACE) == []


@pytest.mark.parametrize("there", [[], [listed()]])
def test_a_provision_that_was_lost_is_sent_again(there: list[Listed]) -> None:
    """Whether the command or the report got lost: the agent says again what it has."""
    repair = only(compare([container(Status.SCHEDULED)], there, [], NOW, GRACE))

    assert (repair.command, repair.container) == (Command.PROVISION, None)


def test_a_deletion_that_was_lost_is_sent_again() -> None:
    """While the instance is there."""
    repairs = compare([container(Status.SCHEDULE_DELETION)], [listed()], [], NOW, GRACE)

    assert [(one.command, one.container) for one in repairs] == [(Command.DELETE, None)]


def test_a_deletion_whose_report_was_lost_is_done() -> None:
    """When the instance is gone."""
    repair = only(compare([container(Status.SCHEDULE_DELETION)], [], [], NOW, GRACE))

    assert repair.command is None
    assert repair.fact == Kind.CONTAINER_DELETED
    assert repair.container is not None
    assert repair.container.status == Status.DELETED


@pytest.mark.parametrize("wanted", [[], [container(Status.PROVISION_ERROR)]], ids=["unknown", "not claimed"])
def test_an_instance_that_nobody_wants_is_deleted(wanted: list[Container]) -> None:
    """After the grace."""
    repair = only(compare(wanted, [listed()], [], NOW, GRACE))

    assert repair == Repair(str(ID), "web", 3, Command.DELETE)


@pytest.mark.parametrize(
    ("name", "value"),
    [("config", {"limits.processes": "7"}), ("checks", [{"tcp": {"port": 80}}]), ("limits", {"cpu": 9})],
)
def test_a_replica_that_is_not_as_it_should_be_by_now_is_told_again(name: str, value: object) -> None:
    """The command that changes it while it runs was lost; agents of before tell no digest."""
    before = container(Status.PROVISIONED, deployment_id=UUID(int=5), spec={"config": {}})
    now = replace(before, spec={**before.spec, name: value})

    repair = only(compare([now], [listed(digest=before.digest)], [], NOW, GRACE))
    assert replace(repair, container=None) == Repair(str(ID), "web", 3, Command.UPDATE, body={})
    assert compare([now], [listed(digest=now.digest)], [], NOW, GRACE) == []
    assert compare([now], [listed(digest=None)], [], NOW, GRACE) == []
    alone = replace(now, deployment_id=None)
    assert compare([alone], [listed(digest=before.digest)], [], NOW, GRACE) == []


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.SCHEDULE_DELETION])
def test_young_differences_are_left_alone(status: Status) -> None:
    """A command or report is under way."""
    young = container(status, status_at=NOW - GRACE + timedelta(milliseconds=1))

    assert compare([young], [], [], NOW, GRACE) == []
    assert compare([], [listed(seen_seconds=29.9)], [], NOW, GRACE) == []


@pytest.mark.parametrize("type_", ContainerType)
@pytest.mark.parametrize("there", [[], [listed(running=False)], [listed(running=False, address=None)]])
@pytest.mark.parametrize("age", [GRACE - timedelta(milliseconds=1), -timedelta(hours=1)], ids=["young", "later"])
def test_what_runs_since_a_moment_is_neither_missing_nor_lost(
    type_: ContainerType, there: list[Listed], age: timedelta
) -> None:
    """The list was made before, and came late; once it is old enough it is."""
    young = container(Status.PROVISIONED, type=type_, status_at=NOW - age)
    ripe = container(Status.PROVISIONED, type=type_, status_at=NOW - GRACE)

    assert compare([young], there, [], NOW, GRACE) == []
    assert compare([ripe], there, [], NOW, GRACE) != []


def test_a_list_counts_from_when_it_was_made_as_far_as_that_is_believed() -> None:
    """A clock that is wrong makes a list neither younger than now nor so old that nothing is ever repaired."""
    assert taken((NOW - GRACE).isoformat(), NOW) == NOW - GRACE
    assert taken((NOW + GRACE).isoformat(), NOW) == NOW
    assert taken((NOW - timedelta(days=9)).isoformat(), NOW) == NOW - MOST_UNDER_WAY
    for nonsense in ("yesterday", "2026-11-23T00:00:00"):
        with pytest.raises(MalformedMessage):
            taken(nonsense, NOW)


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.PROVISIONED, Status.SCHEDULE_DELETION])
@pytest.mark.parametrize("there", [[], [listed(running=False)], [listed(generation=2)]])
def test_what_the_agent_works_on_is_left_alone(status: Status, there: list[Listed]) -> None:
    """Its entry may be out of date already."""
    assert compare([container(status)], there, [str(ID)], NOW, GRACE) == []


@pytest.mark.parametrize("item", [{}, {"container_id": "a"}, {"nonsense": 1}])
def test_an_entry_that_is_none_is_malformed(item: dict[str, object]) -> None:
    """It is set aside, not tried again."""
    with pytest.raises(MalformedMessage):
        Listed.read(item)
