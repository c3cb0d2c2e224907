"""When a provision that failed is tried again, if it is."""

import random
from datetime import datetime, timedelta

from pathfinder.domain.containers import Container
from pathfinder.domain.instances import Fault

#: The wait after the first failure; it doubles with each, up to the most. Each wait is drawn from ± a quarter round it,
#: so that what failed together does not come back together.
FIRST_SECONDS = 1.0
MOST_SECONDS = 300.0
JITTER = 0.25


def delay(attempt: int, seed: str) -> timedelta:
    """The wait after the `attempt`th failure in a row, counted from 1. The same arguments give the same wait."""
    base = min(FIRST_SECONDS * 2.0 ** min(attempt - 1, 30), MOST_SECONDS)
    share = random.Random(f"{seed}/{attempt}").uniform(-JITTER, JITTER)  # noqa: S311 - a wait, no secret
    return timedelta(seconds=base * (1 + share))


def retry_at(container: Container, fault: Fault, now: datetime) -> datetime | None:
    """When a container whose provision failed just now is to be tried again; None where it is not.

    What the request got wrong no node puts right, so only failures by the node's fault are tried again.
    """
    attempt = container.attempts + 1
    if fault == Fault.REQUEST or attempt >= container.max_attempts:
        return None
    return now + delay(attempt, str(container.id))


def message(container: Container, fault: Fault, reason: str, again: datetime | None, *, left: bool = False) -> str:
    """What people read of a failed provision: which attempt it was, what went wrong, and what happens next."""
    if fault == Fault.REQUEST:
        return reason
    told = f"Attempt {container.attempts + 1} of {container.max_attempts} failed on {container.node}: "
    told += reason.rstrip(".")
    if again is None:
        return f"{told}. It is not tried again by itself; `pfi reschedule container {container.hostname}` starts anew."
    after = f", once {container.node} says that nothing of it is left there" if left else ""
    return f"{told}. It is tried again at {again:%Y-%m-%d %H:%M:%S} UTC{after}."
