"""Problems: what can be wrong with a Pathfinder, in words that say what to do."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from pathfinder.domain.messages import Kind


class ProblemKind(StrEnum):
    """What is wrong. Those that nothing else records as an event become one of the same kind when they open."""

    SERVICE_DOWN = "service.down"
    BROKER_DOWN = "broker.down"
    DATABASE_DOWN = "database.down"
    DATABASE_REPLICATION_LAG = "database.replication_lag"
    QUEUE_BACKLOG = "queue.backlog"
    OUTBOX_BACKLOG = "outbox.backlog"
    DEAD_LETTERS = "dead.letters"
    NODE_DOWN = "node.down"
    NODE_DEAF = "node.deaf"
    NODE_RUNTIME_DOWN = "node.runtime_down"
    NODE_SET_ASIDE = "node.set_aside"
    CONTAINER_CRASH_LOOPING = "container.crash_looping"
    CONTAINER_UNPLACEABLE = "container.unplaceable"
    CONTAINER_LOST = "container.lost"
    CONTAINER_STUCK = "container.stuck"
    DEPLOYMENT_METRIC_UNKNOWN = "deployment.metric_unknown"
    CAPACITY_LOW = "capacity.low"
    RESILIENCE_LOST = "resilience.lost"
    POLICY_PLUGIN_FAILED = "policy.plugin_failed"


class Severity(StrEnum):
    """critical: something does not work now. warning: it works, and will not if nobody looks."""

    WARNING = "warning"
    CRITICAL = "critical"


#: Problems that are no events of their own: they open with a fact somebody else records, and would only double it; or,
#: while the database is down, nobody can record anything.
TOLD_ELSEWHERE = frozenset(
    {
        ProblemKind.DATABASE_DOWN,
        ProblemKind.NODE_DOWN,
        ProblemKind.NODE_SET_ASIDE,
        ProblemKind.CONTAINER_UNPLACEABLE,
        ProblemKind.CONTAINER_LOST,
    }
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong now.

    `subject` names what it is about. `cluster_id` is None where the whole Pathfinder is concerned. `subject_id` is the
    id of the container, node or cluster it is about, if it is one (`subject_type`).
    """

    kind: ProblemKind
    severity: Severity
    subject: str
    summary: str
    advice: str
    cluster_id: UUID | None = None
    subject_type: str = "problem"
    subject_id: UUID | None = None
    #: Tells two problems of one kind apart, where `subject` is not enough.
    scope: str = ""

    @property
    def key(self) -> str:
        """The same for the same problem, for as long as it lasts."""
        return f"{self.kind}:{self.scope or self.subject}"


def event_of(kind: ProblemKind) -> Kind | None:
    """The kind of event that is recorded when such a problem opens; None where the fact is recorded already."""
    return None if kind in TOLD_ELSEWHERE else Kind(kind)
