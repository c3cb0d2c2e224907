"""When failed provisions are tried again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pathfinder.controllers import retrying
from pathfinder.domain.containers import Container
from pathfinder.domain.instances import Fault
from pathfinder.domain.lifecycle import ContainerType, Status
from pathfinder.domain.resources import Resources

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MADE = Container(
    id=UUID(int=7),
    cluster_id=UUID(int=8),
    hostname="web",
    image="local:tiny",
    type=ContainerType.STATELESS,
    status=Status.SCHEDULED,
    generation=3,
    node_id=UUID(int=1),
    node="node-01",
    ipaddress=None,
    resources=Resources(),
    spec={},
    waiting=False,
    message=None,
    decision_id=None,
    trace_id="",
    status_at=NOW,
)


@given(st.integers(1, 10_000), st.text(max_size=40))
def test_a_wait_stays_near_its_doubling_and_never_passes_the_most(attempt: int, seed: str) -> None:
    """± a quarter, however often it failed; and the same each time it is asked."""
    waited = retrying.delay(attempt, seed)

    base = min(2.0 ** min(attempt - 1, 30), retrying.MOST_SECONDS)
    assert base * 0.75 <= waited.total_seconds() <= base * 1.25
    assert retrying.delay(attempt, seed) == waited


def test_what_failed_together_does_not_come_back_together() -> None:
    """A node that dies takes many along; their second tries are spread."""
    assert len({retrying.delay(3, str(UUID(int=number))) for number in range(100)}) > 90


@given(st.integers(0, 100), st.integers(1, 100), st.sampled_from(Fault))
def test_only_the_nodes_faults_below_the_limit_are_tried_again(failed: int, limit: int, fault: Fault) -> None:
    """And always later."""
    container = replace(MADE, attempts=failed, spec={"max_attempts": limit})

    again = retrying.retry_at(container, fault, NOW)

    assert (again is not None) == (fault == Fault.NODE and failed + 1 < limit)
    assert again is None or NOW < again <= NOW + timedelta(seconds=retrying.MOST_SECONDS * 1.25)


def test_a_container_of_an_older_version_has_the_usual_limit() -> None:
    """Its spec says nothing about it."""
    assert retrying.retry_at(replace(MADE, attempts=3), Fault.NODE, NOW) is not None
    assert retrying.retry_at(replace(MADE, attempts=4), Fault.NODE, NOW) is None


def test_the_message_says_what_failed_and_what_comes_next() -> None:
    """Again at a moment, or by hand; a request's own fault stands by itself."""
    said = retrying.message(MADE, Fault.NODE, "No space left.", NOW)
    assert said == "Attempt 1 of 5 failed on node-01: No space left. It is tried again at 2026-11-23 12:00:00 UTC."

    said = retrying.message(replace(MADE, attempts=4), Fault.NODE, "No space left.", None)
    assert said.startswith("Attempt 5 of 5 failed on node-01: No space left. It is not tried again by itself; ")
    assert "`pfi reschedule container web`" in said

    assert retrying.message(MADE, Fault.REQUEST, "No such image.", None) == "No such image."
