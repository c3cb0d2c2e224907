"""The one table of transitions."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfinder.domain import lifecycle
from pathfinder.domain.containers import Container
from pathfinder.domain.errors import IllegalTransition
from pathfinder.domain.lifecycle import CLAIMING, RESCHEDULABLE, RUNNING, SETTLED, TRANSITIONS, ContainerType, Status
from pathfinder.domain.resources import Resources


def container(status: Status) -> Container:
    """A container in some status."""
    return Container(
        id=uuid4(),
        cluster_id=uuid4(),
        hostname="web",
        image="local:tiny",
        type=ContainerType.STATELESS,
        status=status,
        generation=1,
        node_id=uuid4(),
        node="node-01",
        ipaddress=None,
        resources=Resources(),
        spec={"profiles": [], "config": {}, "devices": {}, "node_labels": {}},
        waiting=False,
        message=None,
        decision_id=None,
        trace_id="",
        status_at=datetime.now(UTC),
    )


def test_every_status_has_a_line_and_can_be_reached_from_pending() -> None:
    """No status is dead letters, none is forgotten."""
    reached, frontier = {Status.PENDING}, {Status.PENDING}
    while frontier:
        frontier = {after for status in frontier for after in TRANSITIONS[status]} - reached
        reached |= frontier

    assert set(TRANSITIONS) == reached == set(Status)


def test_deleted_is_final_and_the_only_end() -> None:
    """Every other status has a way on, and DELETED can be reached from all of them."""
    assert [status for status in Status if not TRANSITIONS[status]] == [Status.DELETED]
    ends = {Status.DELETED}
    for _ in Status:
        ends |= {status for status in Status if TRANSITIONS[status] & ends}
    assert ends == set(Status)


def test_no_status_follows_itself() -> None:
    """A change that does not change the status is no transition."""
    assert not [status for status in Status if status in TRANSITIONS[status]]


@pytest.mark.parametrize("status", sorted(RESCHEDULABLE))
def test_what_may_be_rescheduled_may_become_pending(status: Status) -> None:
    """The set and the table agree."""
    assert Status.PENDING in TRANSITIONS[status]


def test_a_running_container_claims_and_can_be_brought_back() -> None:
    """Inventories set RUNNING containers whose instance is missing to SCHEDULED."""
    assert RUNNING <= CLAIMING
    assert all(Status.SCHEDULED in TRANSITIONS[status] for status in RUNNING)


def test_what_claims_can_be_deleted_in_two_steps_and_what_does_not_in_one() -> None:
    """A delete is never refused for the status of a container; nobody waits for the node of a LOST one."""
    for status in set(Status) - {Status.DELETED, Status.SCHEDULE_DELETION}:
        wanted = Status.SCHEDULE_DELETION if status in CLAIMING - {Status.LOST} else Status.DELETED
        assert wanted in TRANSITIONS[status], status


def test_what_is_settled_is_no_step_on_the_way() -> None:
    """Waits end there."""
    assert not SETTLED & {Status.PENDING, Status.SCHEDULED, Status.SCHEDULE_DELETION, Status.RELOCATE_STARTED}


@given(st.sampled_from(Status), st.sampled_from(Status))
def test_a_container_goes_where_the_table_lets_it_and_nowhere_else(current: Status, target: Status) -> None:
    """`Container.to` and `sources` read the same table."""
    before = container(current)
    if target in TRANSITIONS[current]:
        assert before.to(target, message="so") == replace(before, status=target, message="so")
        assert current in lifecycle.sources(target)
    else:
        with pytest.raises(IllegalTransition, match=r"web.*cannot become"):
            before.to(target)
        assert current not in lifecycle.sources(target)


@given(st.lists(st.sampled_from(Status), max_size=30))
def test_no_way_leads_out_of_deleted(wishes: list[Status]) -> None:
    """Whatever is tried in whatever order."""
    now, ended = container(Status.PENDING), False
    for wish in wishes:
        try:
            now = now.to(wish)
        except IllegalTransition:
            continue
        assert not ended
        ended = now.status == Status.DELETED


def test_a_claim_stands_only_with_a_node_and_a_claiming_status() -> None:
    """Both are needed."""
    for status in Status:
        assert container(status).claims == (status in CLAIMING)
        assert not replace(container(status), node_id=None).claims
