"""What agents' reports mean, told once, twice, late or about the past."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfinder.controllers import reports
from pathfinder.controllers.reports import NOTHING, Verdict
from pathfinder.domain.attempts import Attempt
from pathfinder.domain.containers import Container
from pathfinder.domain.instances import Fault
from pathfinder.domain.lifecycle import RUNNING, ContainerType, Status
from pathfinder.domain.messages import Command, Envelope, Kind, Report
from pathfinder.domain.resources import Resources

NODE = UUID(int=1)
ELSEWHERE = UUID(int=2)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def container(status: Status = Status.SCHEDULED, **changes: object) -> Container:
    """A container with its third placement, on NODE."""
    made = Container(
        id=UUID(int=7),
        cluster_id=UUID(int=8),
        hostname="web",
        image="local:tiny",
        type=ContainerType.STATELESS,
        status=status,
        generation=3,
        node_id=NODE,
        node="node-01",
        ipaddress="10.0.0.9" if status in RUNNING else None,
        resources=Resources(),
        spec={},
        waiting=False,
        message=None,
        decision_id=None,
        trace_id="",
        status_at=datetime(2026, 11, 23, tzinfo=UTC),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def judge(present: Container | None, said: Envelope, sender: UUID) -> Verdict:
    """What it means at NOW."""
    return reports.judge(present, said, sender, NOW)


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
    """People read it in `describe`; what the request got wrong is not tried again."""
    verdict = judge(container(), FAILED, NODE)

    assert verdict.container == container(Status.PROVISION_ERROR, message="no such image", attempts=1)
    assert verdict.body == {
        "reason": "no such image",
        "fault": "request",
        "attempt": 1,
        "max_attempts": 5,
        "retry_at": None,
    }
    assert verdict.attempt == Attempt(UUID(int=7), 3, "node-01", Fault.REQUEST, "no such image")
    assert (verdict.command, verdict.left) == (None, False)


@pytest.mark.parametrize("fault", ["node", None, "nonsense"])
def test_a_failure_by_the_nodes_fault_is_tried_again_elsewhere_later(fault: str | None) -> None:
    """The placement ends; what nobody knows better is the node's fault. The node is told that its time is over."""
    verdict = judge(container(attempts=1), report(Report.PROVISION_FAILED, reason="no space", fault=fault), NODE)

    now = verdict.container
    assert now is not None
    assert now.retry_at is not None
    assert NOW < now.retry_at < NOW + timedelta(seconds=3)
    assert (now.status, now.node_id, now.node, now.attempts) == (Status.PENDING, None, None, 2)
    assert "Attempt 2 of 5 failed on node-01: no space." in (now.message or "")
    assert verdict.fact == Kind.CONTAINER_PROVISION_FAILED
    assert (verdict.body["attempt"], verdict.body["retry_at"]) == (2, now.retry_at.isoformat())
    assert verdict.attempt == Attempt(UUID(int=7), 3, "node-01", Fault.NODE, "no space")
    assert verdict.command == Command.DELETE


@pytest.mark.parametrize(("attempts", "limit"), [(0, 1), (4, 5), (9, 5)])
def test_the_last_attempt_ends_in_provision_error(attempts: int, limit: int) -> None:
    """And says how to start anew."""
    present = container(attempts=attempts, spec={"max_attempts": limit})

    now = judge(present, report(Report.PROVISION_FAILED, reason="no space", fault="node"), NODE).container

    assert now is not None
    assert (now.status, now.retry_at, now.attempts) == (Status.PROVISION_ERROR, None, attempts + 1)
    assert "`pfi reschedule container web` starts anew" in (now.message or "")


def test_what_may_be_left_behind_is_said() -> None:
    """Its claim stands until the node says that it is gone."""
    assert judge(container(), report(Report.PROVISION_FAILED, fault="node", left=True), NODE).left


def test_success_ends_the_row_of_failures() -> None:
    """The next failure is the first again."""
    assert judge(container(attempts=3), UP, NODE).container == container(Status.PROVISIONED)


@pytest.mark.parametrize(
    ("known", "looked", "stays"), [("10.0.0.9", False, True), ("10.0.0.9", True, False), (None, False, False)]
)
def test_an_instance_that_ran_before_is_not_given_up_for_a_daemon_that_does_not_answer(
    known: str | None, looked: bool, stays: bool
) -> None:
    """It may well run: LXD's containers outlive LXD."""
    failed = report(Report.PROVISION_FAILED, reason="LXD does not answer", fault="node", looked=looked)

    now = judge(container(ipaddress=known), failed, NODE).container

    assert now is not None
    assert now.status == (Status.SCHEDULED if stays else Status.PENDING)


def test_a_failure_that_kept_an_older_instance_is_tried_again_and_counted() -> None:
    """Its disk is worth more than a quick answer; whoever looks at problems sees how often it failed."""
    failed = report(Report.PROVISION_FAILED, reason="no address", kept=True)

    verdict = judge(container(attempts=9, ipaddress="10.0.0.8"), failed, NODE)

    assert verdict == Verdict(container(message="no address. It is tried again.", attempts=10, ipaddress="10.0.0.8"))
    assert verdict.container is not None
    assert judge(verdict.container, UP, NODE).container == container(Status.PROVISIONED, ipaddress="10.0.0.9")


@pytest.mark.parametrize("fault", list(Fault))
def test_a_failure_that_kept_an_instance_which_never_had_an_address_is_one_like_any_other(fault: Fault) -> None:
    """It counts towards the container's limit, and other nodes are tried; the node is told to remove what it kept."""
    failed = report(Report.PROVISION_FAILED, reason="no address", fault=fault, kept=True)

    verdict = judge(container(), failed, NODE)

    assert verdict.container is not None
    assert verdict.container.status == (Status.PENDING if fault == Fault.NODE else Status.PROVISION_ERROR)
    assert verdict.attempt == Attempt(UUID(int=7), 3, "node-01", fault, "no address")
    assert (verdict.left, verdict.command) == (True, Command.DELETE)
    waits = "once node-01 says that nothing of it is left there" in (verdict.container.message or "")
    assert waits == (fault == Fault.NODE)


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
    st.sampled_from(
        [{}, {"ipaddress": "10.0.0.9"}, {"reason": "no"}, {"ipaddress": None}, {"fault": "request"}, {"looked": False}]
    ),
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
        assert (now.id, now.generation) == (present.id, present.generation)
        assert now.node_id == present.node_id or (now.status == Status.PENDING and now.node_id is None)


def test_reports_about_nobody_never_raise() -> None:
    """A container may be gone from the table altogether."""
    for kind in Report:
        assert judge(None, Envelope(kind, str(uuid4()), str(uuid4()), 1), NODE).container is None
