"""What the answers of a container's checks mean, and when it is restarted. Times in seconds."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from uuid import UUID

from pathfinder.domain.checks import Check, RestartPolicy
from pathfinder.domain.lifecycle import ContainerType, Health
from pathfinder.domain.messages import Kind

#: A container without checks that ran on for so long after a restart was helped by it.
SETTLED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Answers:
    """What one check said: its verdict, how many answers in a row speak for another, and why the last was bad."""

    health: Health = Health.UNKNOWN
    good: int = 0
    bad: int = 0
    message: str | None = None


def answered(check: Check, before: Answers, failure: str | None) -> Answers:
    """What is known after one more answer: None is a good one, else why it is bad."""
    if failure is None:
        good = before.good + 1
        if good >= check.healthy_after:
            return Answers(Health.HEALTHY, good)
        return Answers(before.health, good, 0, before.message)
    bad = before.bad + 1
    if bad >= check.unhealthy_after:
        return Answers(Health.UNHEALTHY, 0, bad, failure)
    return replace(before, good=0, bad=bad)


def overall(checks: Iterable[tuple[Check, Answers]]) -> tuple[Health, str | None]:
    """What they say together, and why it is not HEALTHY: one that is not well is enough, all are needed to be well."""
    found = list(checks)
    for check, answers in found:
        if answers.health is Health.UNHEALTHY:
            return Health.UNHEALTHY, f"{check.name}: {answers.message}"
    well = bool(found) and all(answers.health is Health.HEALTHY for _, answers in found)
    return (Health.HEALTHY if well else Health.UNKNOWN), None


class Remedy(StrEnum):
    """What is done about a container that crashed or is UNHEALTHY."""

    NOTHING = "nothing"
    RESTART = "restart"
    REPLACE = "replace"


def remedy(policy: RestartPolicy, restarts: int, type_: ContainerType) -> Remedy:
    """What to do after so many restarts in a row that did not help.

    One whose disk is worth keeping is never placed anew by itself: it is restarted, however often.
    """
    if not policy.enabled:
        return Remedy.NOTHING
    if restarts >= policy.replace_after and type_ == ContainerType.STATELESS:
        return Remedy.REPLACE
    return Remedy.RESTART


def delay_seconds(policy: RestartPolicy, restarts: int) -> float:
    """How long to wait before the next restart."""
    # Beyond 2**30 times the least there is no difference any more, but there is to a float.
    return min(policy.delay_seconds * 2.0 ** min(restarts, 30), policy.most_delay_seconds)


@dataclass(frozen=True, slots=True)
class Change:
    """A container whose health is another now, or that was `restarted`, `restarts` times in a row by now."""

    container_id: UUID
    was: Health
    health: Health
    restarted: bool
    restarts: int


def facts(change: Change, message: str | None) -> list[tuple[Kind, dict[str, Any]]]:
    """What is recorded of a change. That nothing is known any more follows from what is recorded besides."""
    found: list[tuple[Kind, dict[str, Any]]] = []
    if change.restarted:
        found.append((Kind.CONTAINER_RESTARTED, {"restarts": change.restarts}))
    if change.health is not change.was and change.health is Health.HEALTHY:
        found.append((Kind.CONTAINER_HEALTHY, {}))
    if change.health is not change.was and change.health is Health.UNHEALTHY:
        found.append((Kind.CONTAINER_UNHEALTHY, {"reason": message}))
    return found
