"""Runs: how far the bootstrappers of a container are, as agents report it and the store keeps it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pathfinder.domain.errors import MalformedMessage

#: How much of a bootstrapper's output is kept, in characters: its end.
OUTPUT_LENGTH = 16_384


class StepStatus(StrEnum):
    """How one bootstrapper is."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class BootstrapStep:
    """One bootstrapper of a run. `attempts` counts its tries, `exit_code` is that of the last one that had one."""

    name: str
    type: str
    status: StepStatus = StepStatus.WAITING
    attempts: int = 0
    exit_code: int | None = None
    output: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None


def told(steps: Sequence[BootstrapStep]) -> list[dict[str, Any]]:
    """As a report tells them."""
    return [asdict(step) for step in steps]


def read(items: Any) -> tuple[BootstrapStep, ...]:
    """As a report told them. Raises MalformedMessage."""
    try:
        return tuple(_step(item) for item in items)
    except (TypeError, ValueError, KeyError) as error:
        raise MalformedMessage(f"not the steps of a bootstrap: {error}") from error


def _step(item: Mapping[str, Any]) -> BootstrapStep:
    moments = {key: datetime.fromisoformat(item[key]) if item[key] else None for key in ("started_at", "ended_at")}
    output = str(item["output"]).replace("\0", "")[-OUTPUT_LENGTH:]
    return BootstrapStep(**{**item, **moments, "status": StepStatus(item["status"]), "output": output})


def finished(steps: Sequence[BootstrapStep]) -> bool:
    """Whether nothing more happens in the run."""
    return failed(steps) is not None or all(step.status == StepStatus.DONE for step in steps)


def failed(steps: Sequence[BootstrapStep]) -> BootstrapStep | None:
    """The step that ended the run, if one did."""
    return next((step for step in steps if step.status == StepStatus.FAILED), None)


def done(steps: Sequence[BootstrapStep]) -> int:
    """How many steps from the first are done."""
    count = 0
    for step in steps:
        if step.status != StepStatus.DONE:
            break
        count += 1
    return count


def progress(steps: Sequence[BootstrapStep]) -> tuple[int, ...]:
    """A number that only grows as the run goes on: of two reports, the later has the greater."""
    return (int(finished(steps)), done(steps), sum(step.attempts for step in steps))
