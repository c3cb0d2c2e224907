"""When bootstrappers are carried out, and what agents' reports of it mean, told once, twice, late or of another run."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfinder.controllers import bootstrapping
from pathfinder.controllers.bootstrapping import Run
from pathfinder.domain.containers import Container
from pathfinder.domain.lifecycle import ContainerType, Status
from pathfinder.domain.messages import Kind
from pathfinder.domain.resources import Resources
from pathfinder.domain.runs import BootstrapStep, StepStatus

SCRIPTS = [{"type": "script", "name": "base", "script": "true"}, {"type": "files", "files": []}]
FRESH = (BootstrapStep("base", "script"), BootstrapStep("2-files", "files"))
RUNNING = (replace(FRESH[0], status=StepStatus.RUNNING, attempts=1), FRESH[1])
HALF = (replace(FRESH[0], status=StepStatus.DONE, attempts=1, exit_code=0), FRESH[1])
DONE = (HALF[0], replace(FRESH[1], status=StepStatus.DONE, attempts=1, exit_code=0))
FAILED = (replace(FRESH[0], status=StepStatus.FAILED, attempts=3, exit_code=7), FRESH[1])


def container(status: Status = Status.PROVISIONED, **changes: object) -> Container:
    """A container with two bootstrappers and its third placement."""
    made = Container(
        id=UUID(int=7),
        cluster_id=UUID(int=8),
        hostname="web",
        image="local:tiny",
        type=ContainerType.STATELESS,
        status=status,
        generation=3,
        node_id=UUID(int=1),
        node="node-01",
        ipaddress="10.0.0.9",
        resources=Resources(),
        spec={"bootstrappers": SCRIPTS},
        waiting=False,
        message=None,
        decision_id=None,
        trace_id="",
        status_at=datetime(2026, 11, 23, tzinfo=UTC),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_steps_without_a_name_get_one_of_their_place_and_type() -> None:
    """People read it in the logs."""
    assert bootstrapping.first(container()) == FRESH


def test_a_provisioned_container_is_bootstrapped_once_for_each_placement() -> None:
    """Its instance may be stopped and started again since; another placement, or other bootstrappers, begin anew."""
    done = container(bootstrapped=bootstrapping.mark(container()))

    assert bootstrapping.begins(container())
    assert not bootstrapping.begins(done)
    assert bootstrapping.kept(done).status == Status.BOOTSTRAPPED
    assert bootstrapping.begins(replace(done, generation=4))
    assert bootstrapping.begins(replace(done, spec={"bootstrappers": SCRIPTS[:1]}))
    assert not bootstrapping.begins(container(spec={}))


def test_a_run_goes_from_started_to_bootstrapped() -> None:
    """Each step on the way is a fact of its own."""
    run = Run(1, FRESH)
    first = bootstrapping.judge(container(), run, 1, RUNNING)
    assert first is not None
    second = bootstrapping.judge(first.container, first.run, 1, HALF)
    assert second is not None
    third = bootstrapping.judge(second.container, second.run, 1, DONE)
    assert third is not None

    assert [kind for kind, _ in (*first.facts, *second.facts, *third.facts)] == [
        Kind.CONTAINER_BOOTSTRAP_STARTED,
        Kind.CONTAINER_BOOTSTRAP_PROGRESS,
        Kind.CONTAINER_BOOTSTRAPPED,
    ]
    assert third.container.status == Status.BOOTSTRAPPED
    assert third.container.bootstrapped == bootstrapping.mark(container())


def test_a_step_that_failed_for_good_ends_the_run_in_bootstrap_error() -> None:
    """What to do next is said where people look; nothing is called done."""
    outcome = bootstrapping.judge(container(Status.BOOTSTRAP_STARTED), Run(1, RUNNING), 1, FAILED)

    assert outcome is not None
    assert outcome.container.status == Status.BOOTSTRAP_ERROR
    assert outcome.container.bootstrapped is None
    assert "ended with 7, the last of 3 tries" in str(outcome.container.message)


@pytest.mark.parametrize("status", [Status.LOST, Status.SCHEDULE_DELETION, Status.BOOTSTRAPPED, Status.SCHEDULED])
def test_a_report_about_a_container_that_is_elsewhere_in_its_life_means_nothing(status: Status) -> None:
    """It was said before that began."""
    assert bootstrapping.judge(container(status), Run(1, FRESH), 1, DONE) is None


def test_a_report_of_an_earlier_run_means_nothing() -> None:
    """A later one was asked for since."""
    assert bootstrapping.judge(container(), Run(2, FRESH), 1, DONE) is None


@given(st.lists(st.sampled_from([FRESH, RUNNING, HALF, DONE]), max_size=12))
def test_reports_in_any_order_end_where_the_furthest_of_them_is(said: list[tuple[BootstrapStep, ...]]) -> None:
    """Doubled, late and lost ones change nothing: never is more called done than was, and nothing is taken back."""
    now, run = container(), Run(1, FRESH)
    for steps in [*said, *said]:
        outcome = bootstrapping.judge(now, run, 1, steps)
        if outcome is not None:
            now, run = outcome.container, outcome.run

    furthest = max([FRESH, *said], key=[FRESH, RUNNING, HALF, DONE].index)
    assert run.steps == furthest
    assert (now.status == Status.BOOTSTRAPPED) == (DONE in said)
