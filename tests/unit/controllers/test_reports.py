"""What agents' reports mean, told once, twice, late or about the past."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfinder.controllers.reports import NOTHING, Verdict, judge
from pathfinder.domain.containers import Container
from pathfinder.domain.lifecycle import RUNNING, Status
from pathfinder.domain.messages import Command, Envelope, Kind, Report
from pathfinder.domain.resources import Resources

NODE = UUID(int=1)
ELSEWHERE = UUID(int=2)


def container(status: Status = Status.SCHEDULED, **changes: object) -> Container:
    """A container with its third placement, on NODE."""
    made = Container(
        id=UUID(int=7),
        cluster_id=UUID(int=8),
        hostname="web",
        image="local:tiny",
        status=status,
        generation=3,
        node_id=NODE,
        node="node-01",
        ipaddress="10.0.0.9" if status in RUNNING else None,
        resources=Resources(),
        spec={},
        waiting=False,
        message=None,
        explanation=None,
        trace_id="",
        status_at=datetime(2026, 11, 23, tzinfo=UTC),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def report(kind: Report, generation: int = 3, **body: object) -> Envelope:
    """A report about it."""
    return Envelope(kind, str(UUID(int=8)), str(UUID(int=7)), generation, body=body)


UP = report(Report.PROVISIONED, ipaddress="10.0.0.9")
FAILED = report(Report.PROVISION_FAILED, reason="no such image", fault="request")
GONE = report(Report.DELETED)
STEP = report(Report.PROGRESS, stage="image", percent=40)


def test_a_scheduled_container_that_runs_is_provisioned() -> None:
    """With its address; what was wrong before is forgotten."""
    verdict = judge(container(message="It is tried again."), UP, NODE)

    assert verdict.container == container(Status.PROVISIONED)
    assert (verdict.fact, verdict.command) == (Kind.CONTAINER_PROVISIONED, None)


def test_a_new_address_of_a_running_container_is_kept() -> None:
    """It is a fact of its own."""
    verdict = judge(container(Status.PROVISIONED), report(Report.PROVISIONED, ipaddress="10.0.0.10"), NODE)

    assert verdict.container == container(Status.PROVISIONED, ipaddress="10.0.0.10")


def test_a_failure_ends_in_provision_error_with_the_nodes_own_reason() -> None:
    """People read it in `describe`."""
    verdict = judge(container(), FAILED, NODE)

    assert verdict.container == container(Status.PROVISION_ERROR, message="no such image")
    assert verdict.body == {"reason": "no such image", "fault": "request"}


def test_a_failure_that_kept_an_older_instance_is_tried_again() -> None:
    """Its disk is worth more than a quick answer."""
    verdict = judge(container(), report(Report.PROVISION_FAILED, reason="no address", kept=True), NODE)

    assert verdict == Verdict(container(message="no address. It is tried again."))


def test_a_deletion_that_was_asked_for_is_done() -> None:
    """And the address goes."""
    verdict = judge(container(Status.SCHEDULE_DELETION), GONE, NODE)

    assert verdict.container == container(Status.DELETED)
    assert verdict.fact == Kind.CONTAINER_DELETED


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.SCHEDULE_DELETION}))
def test_a_deletion_that_nobody_asked_for_changes_nothing(status: Status) -> None:
    """The inventory tells whether an instance is missing."""
    assert judge(container(status), GONE, NODE) == NOTHING


def test_progress_is_a_fact_while_it_is_scheduled_and_nothing_later() -> None:
    """It may arrive after the end."""
    assert judge(container(), STEP, NODE) == Verdict(
        fact=Kind.CONTAINER_PROGRESS, body={"stage": "image", "percent": 40}
    )
    assert judge(container(Status.PROVISIONED), STEP, NODE) == NOTHING


@pytest.mark.parametrize(
    ("present", "said", "sender"),
    [
        (None, UP, NODE),
        (container(generation=4), UP, NODE),
        (container(), UP, ELSEWHERE),
        (container(Status.PENDING, node_id=None, node=None), UP, NODE),
        (container(Status.DELETED), UP, NODE),
        (container(Status.PROVISION_ERROR), UP, NODE),
    ],
    ids=["unknown", "older placement", "another node", "not placed", "deleted", "failed"],
)
def test_an_instance_that_nobody_wants_is_to_be_deleted(
    present: Container | None, said: Envelope, sender: UUID
) -> None:
    """The container itself is left as it is."""
    assert judge(present, said, sender) == Verdict(command=Command.DELETE)


@pytest.mark.parametrize("said", [FAILED, GONE, STEP], ids=lambda said: said.kind)
@pytest.mark.parametrize(
    "present", [None, container(generation=4), container(Status.SCHEDULE_DELETION, node_id=ELSEWHERE)]
)
def test_what_is_said_of_another_placement_changes_nothing(present: Container | None, said: Envelope) -> None:
    """Fenced by generation and by node."""
    assert judge(present, said, NODE) == NOTHING


@pytest.mark.parametrize("kind", ["heartbeat", "inventory", "nonsense"])
def test_other_messages_mean_nothing_here(kind: str) -> None:
    """They have readers of their own."""
    assert judge(container(), Envelope(kind, "c", "s", 3), NODE) == NOTHING


CONTAINERS = st.builds(
    container,
    st.sampled_from(Status),
    generation=st.integers(2, 4),
    node_id=st.sampled_from([NODE, ELSEWHERE]),
    ipaddress=st.sampled_from([None, "10.0.0.9"]),
)
REPORTS = st.builds(
    lambda kind, generation, body: Envelope(kind, str(UUID(int=8)), str(UUID(int=7)), generation, body=body),
    st.sampled_from([Report.PROVISIONED, Report.PROVISION_FAILED, Report.DELETED]),
    st.integers(2, 4),
    st.sampled_from([{}, {"ipaddress": "10.0.0.9"}, {"reason": "no"}, {"ipaddress": None}]),
)


@given(CONTAINERS, REPORTS)
def test_told_twice_a_report_changes_nothing_the_second_time(present: Container, said: Envelope) -> None:
    """Neither the row nor the log; at most the same delete is asked for again."""
    once = judge(present, said, NODE)
    twice = judge(once.container or present, said, NODE)

    assert twice.container is None
    assert twice.fact is None


@given(CONTAINERS, st.lists(REPORTS, max_size=6))
def test_no_order_of_reports_breaks_the_lifecycle_or_moves_a_placement(
    present: Container, said: list[Envelope]
) -> None:
    """Late, doubled, reordered: never an IllegalTransition, never another node or generation."""
    now = present
    for one in said:
        now = judge(now, one, NODE).container or now
        assert (now.id, now.generation, now.node_id) == (present.id, present.generation, present.node_id)


def test_reports_about_nobody_never_raise() -> None:
    """A container may be gone from the table altogether."""
    for kind in Report:
        assert judge(None, Envelope(kind, str(uuid4()), str(uuid4()), 1), NODE).container is None
