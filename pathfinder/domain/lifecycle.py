"""The life of a container: its statuses and the one table of transitions between them.

Every writer of `containers.status` goes through `TRANSITIONS`; `docs/concepts/lifecycle.md` is drawn from it.
"""

from collections.abc import Mapping
from enum import StrEnum

from pathfinder.domain.errors import IllegalTransition


class Status(StrEnum):
    """Where a container is in its life. The words are the ones Pathfinder's users know."""

    PENDING = "PENDING"
    SCHEDULED = "SCHEDULED"
    PROVISIONED = "PROVISIONED"
    PROVISION_ERROR = "PROVISION_ERROR"
    BOOTSTRAP_STARTED = "BOOTSTRAP_STARTED"
    BOOTSTRAPPED = "BOOTSTRAPPED"
    BOOTSTRAP_ERROR = "BOOTSTRAP_ERROR"
    SCHEDULE_DELETION = "SCHEDULE_DELETION"
    DELETED = "DELETED"
    SCHEDULE_RELOCATION = "SCHEDULE_RELOCATION"
    RELOCATE_STARTED = "RELOCATE_STARTED"
    RELOCATE_ERROR = "RELOCATE_ERROR"
    LOST = "LOST"


class NodeStatus(StrEnum):
    """Whether a node's lease holds."""

    READY = "READY"
    DOWN = "DOWN"


class Health(StrEnum):
    """What the container's checks say; UNKNOWN until a check has answered."""

    UNKNOWN = "UNKNOWN"
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"


class ContainerType(StrEnum):
    """Whether a container may be started anew elsewhere (its disk is not worth keeping) or not."""

    STATELESS = "STATELESS"
    STATEFUL = "STATEFUL"


S = Status

#: From each status, the statuses that may follow it. SCHEDULED follows PROVISIONED and the bootstrap statuses
#: when an instance was removed behind Pathfinder's back, and LOST when its node is back: the same placement is
#: provisioned again.
TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    S.PENDING: frozenset({S.SCHEDULED, S.DELETED}),
    S.SCHEDULED: frozenset({S.PROVISIONED, S.PROVISION_ERROR, S.SCHEDULE_DELETION, S.PENDING, S.LOST}),
    S.PROVISIONED: frozenset(
        {S.BOOTSTRAP_STARTED, S.SCHEDULED, S.PENDING, S.SCHEDULE_DELETION, S.SCHEDULE_RELOCATION, S.LOST}
    ),
    S.PROVISION_ERROR: frozenset({S.PENDING, S.DELETED}),
    S.BOOTSTRAP_STARTED: frozenset(
        {S.BOOTSTRAPPED, S.BOOTSTRAP_ERROR, S.PROVISIONED, S.SCHEDULED, S.SCHEDULE_DELETION, S.LOST}
    ),
    S.BOOTSTRAPPED: frozenset(
        {S.PROVISIONED, S.SCHEDULED, S.PENDING, S.SCHEDULE_DELETION, S.SCHEDULE_RELOCATION, S.LOST}
    ),
    S.BOOTSTRAP_ERROR: frozenset(
        {S.PROVISIONED, S.SCHEDULED, S.PENDING, S.SCHEDULE_DELETION, S.SCHEDULE_RELOCATION, S.LOST}
    ),
    S.SCHEDULE_DELETION: frozenset({S.DELETED}),
    S.DELETED: frozenset(),
    S.SCHEDULE_RELOCATION: frozenset(
        {S.RELOCATE_STARTED, S.RELOCATE_ERROR, S.PROVISIONED, S.SCHEDULE_DELETION, S.LOST}
    ),
    S.RELOCATE_STARTED: frozenset({S.PROVISIONED, S.RELOCATE_ERROR, S.SCHEDULE_DELETION, S.LOST}),
    S.RELOCATE_ERROR: frozenset({S.SCHEDULE_RELOCATION, S.PROVISIONED, S.PENDING, S.SCHEDULE_DELETION, S.LOST}),
    S.LOST: frozenset({S.PENDING, S.SCHEDULED, S.PROVISIONED, S.DELETED}),
}

#: Statuses in which the placement's claim on its node stands. In every other status it has been given back. A LOST
#: container keeps its claim: its node may come back with it.
CLAIMING = frozenset(
    {
        S.SCHEDULED,
        S.PROVISIONED,
        S.BOOTSTRAP_STARTED,
        S.BOOTSTRAPPED,
        S.BOOTSTRAP_ERROR,
        S.SCHEDULE_DELETION,
        S.SCHEDULE_RELOCATION,
        S.RELOCATE_STARTED,
        S.RELOCATE_ERROR,
        S.LOST,
    }
)

#: Statuses in which the container's instance should be running on its node.
RUNNING = frozenset({S.PROVISIONED, S.BOOTSTRAP_STARTED, S.BOOTSTRAPPED, S.BOOTSTRAP_ERROR})

#: Statuses a user may ask a new placement in.
RESCHEDULABLE = frozenset(
    {S.PROVISIONED, S.PROVISION_ERROR, S.BOOTSTRAPPED, S.BOOTSTRAP_ERROR, S.RELOCATE_ERROR, S.LOST}
)

#: Statuses that end a wait: nothing more happens by itself.
SETTLED = frozenset({S.PROVISIONED, S.PROVISION_ERROR, S.BOOTSTRAPPED, S.BOOTSTRAP_ERROR, S.DELETED, S.RELOCATE_ERROR})


def sources(target: Status) -> frozenset[Status]:
    """The statuses from which `target` may be reached in one step."""
    return frozenset(status for status, nexts in TRANSITIONS.items() if target in nexts)


def require(hostname: str, current: Status, target: Status) -> None:
    """Raise `IllegalTransition` unless a container may go from `current` to `target`."""
    if target not in TRANSITIONS[current]:
        raise IllegalTransition(hostname, current, target)
