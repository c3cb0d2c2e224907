"""When a container's bootstrappers are carried out, and what comes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import orjson

from pathfinder.domain import runs
from pathfinder.domain.containers import Container
from pathfinder.domain.lifecycle import Status
from pathfinder.domain.messages import Kind
from pathfinder.domain.runs import BootstrapStep

#: Statuses in which a run may be under way.
_OPEN = (Status.PROVISIONED, Status.BOOTSTRAP_STARTED)


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the store has it."""

    number: int
    steps: tuple[BootstrapStep, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a report means: the container and the run as they are now, and what is to be recorded."""

    container: Container
    run: Run
    facts: tuple[tuple[Kind, Mapping[str, Any]], ...] = ()


def wanted(container: Container) -> Sequence[Mapping[str, Any]]:
    """Its bootstrappers, as they were asked for."""
    found: Sequence[Mapping[str, Any]] = container.spec.get("bootstrappers", ())
    return found


def mark(container: Container) -> str:
    """What `bootstrapped` says once they were carried out on this placement."""
    digest = sha256(orjson.dumps(list(wanted(container)), option=orjson.OPT_SORT_KEYS)).hexdigest()
    return f"{container.generation}:{digest}"


def begins(container: Container) -> bool:
    """Whether something is to be carried out on a container that was just PROVISIONED."""
    return (
        container.status == Status.PROVISIONED and bool(wanted(container)) and container.bootstrapped != mark(container)
    )


def kept(container: Container) -> Container:
    """A container that was just PROVISIONED, and whose instance is the one its bootstrappers were carried out on: it is
    BOOTSTRAPPED. Any other is as it was.
    """
    if container.status != Status.PROVISIONED or not wanted(container) or begins(container):
        return container
    return container.to(Status.BOOTSTRAP_STARTED).to(Status.BOOTSTRAPPED)


def idle(container: Container) -> bool:
    """Whether a run should be under way on it: where its node knows of none, the command is sent again."""
    return begins(container) or container.status == Status.BOOTSTRAP_STARTED


def first(container: Container) -> tuple[BootstrapStep, ...]:
    """The steps of a new run."""
    return named(wanted(container))


def named(bootstrappers: Sequence[Mapping[str, Any]]) -> tuple[BootstrapStep, ...]:
    """Bootstrappers as steps; those without a name get one from their place and type."""
    return tuple(
        BootstrapStep(one.get("name") or f"{number}-{one['type']}", one["type"])
        for number, one in enumerate(bootstrappers, start=1)
    )


def judge(container: Container, run: Run, number: int, steps: tuple[BootstrapStep, ...]) -> Outcome | None:
    """What an agent's report of run `number` means; None if it is of another run, or tells nothing new.

    Whoever asks makes sure that the report is about the container's present placement.
    """
    if number != run.number or len(steps) != len(run.steps) or container.status not in _OPEN:
        return None
    if runs.progress(steps) <= runs.progress(run.steps):
        return None
    facts: list[tuple[Kind, Mapping[str, Any]]] = []
    if container.status == Status.PROVISIONED:
        container = container.to(Status.BOOTSTRAP_STARTED, message=None)
        facts.append((Kind.CONTAINER_BOOTSTRAP_STARTED, {"run": number, "status": Status.BOOTSTRAP_STARTED}))
    if (broken := runs.failed(steps)) is not None:
        container = container.to(Status.BOOTSTRAP_ERROR, message=_why(container, broken))
        body = {"run": number, "step": broken.name, "exit_code": broken.exit_code, "reason": container.message}
        facts.append((Kind.CONTAINER_BOOTSTRAP_FAILED, body))
    elif runs.finished(steps):
        container = replace(container.to(Status.BOOTSTRAPPED, message=None), bootstrapped=mark(container))
        facts.append((Kind.CONTAINER_BOOTSTRAPPED, {"run": number}))
    elif (done := runs.done(steps)) > runs.done(run.steps):
        body = {"run": number, "step": steps[done - 1].name, "done": done, "of": len(steps)}
        facts.append((Kind.CONTAINER_BOOTSTRAP_PROGRESS, body))
    return Outcome(container, replace(run, steps=steps), tuple(facts))


def _why(container: Container, step: BootstrapStep) -> str:
    ended = "did not end in time" if step.exit_code is None else f"ended with {step.exit_code}"
    tries = "" if step.attempts == 1 else f", the last of {step.attempts} tries"
    return (
        f"Bootstrapper {step.name} {ended}{tries}. `pfi logs container {container.hostname} --bootstrap` shows what it "
        f"wrote; `pfi rebootstrap {container.hostname}` tries again."
    )
