"""What travels over RabbitMQ: events (past tense), commands (imperative) and reports (what an agent says happened).

A message body is a JSON array of envelopes, because several often go the same way. Losing or doubling any of them
is harmless: receivers compare `generation`, and inventories repair what is missing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from os import urandom
from typing import Any

import orjson

from pathfinder.domain.errors import MalformedMessage

VERSION = 1


class Exchange(StrEnum):
    """Where messages are published."""

    EVENTS = "pathfinder.events"
    COMMANDS = "pathfinder.commands"
    REPORTS = "pathfinder.reports"
    DEAD = "pathfinder.dead"


#: A node's queue is called so, and its name.
NODE_QUEUE = "pathfinder.node."


class Command(StrEnum):
    """Instructions to one node."""

    PROVISION = "provision"
    DELETE = "delete"
    BOOTSTRAP = "bootstrap"
    UPDATE = "update"
    REJOIN = "rejoin"
    WATCH = "watch"


class Report(StrEnum):
    """What an agent says."""

    PROVISIONED = "provisioned"
    PROVISION_FAILED = "provision_failed"
    DELETED = "deleted"
    PROGRESS = "progress"
    BOOTSTRAP = "bootstrap"
    HEALTH = "health"
    UPDATED = "updated"
    INVENTORY = "inventory"
    HEARTBEAT = "heartbeat"
    USAGE = "usage"


#: Reports whose subject is the node itself; the body of others names it as `node_id`.
ABOUT_NODE = frozenset({Report.INVENTORY, Report.HEARTBEAT, Report.USAGE})

#: In the usage that a heartbeat tells, instead of numbers: the agent lives, and what it drives does not answer.
RUNTIME_DOWN = "runtime_down"


class Kind(StrEnum):
    """Facts, kept in `events`."""

    CONTAINER_REQUESTED = "container.requested"
    CONTAINER_SCHEDULED = "container.scheduled"
    CONTAINER_UNPLACEABLE = "container.unplaceable"
    CONTAINER_PROGRESS = "container.progress"
    CONTAINER_PROVISIONED = "container.provisioned"
    CONTAINER_PROVISION_FAILED = "container.provision_failed"
    CONTAINER_BOOTSTRAP_STARTED = "container.bootstrap_started"
    CONTAINER_BOOTSTRAP_PROGRESS = "container.bootstrap_progress"
    CONTAINER_BOOTSTRAPPED = "container.bootstrapped"
    CONTAINER_BOOTSTRAP_FAILED = "container.bootstrap_failed"
    CONTAINER_REBOOTSTRAPPED = "container.rebootstrapped"
    CONTAINER_HEALTHY = "container.healthy"
    CONTAINER_UNHEALTHY = "container.unhealthy"
    CONTAINER_RESTARTED = "container.restarted"
    CONTAINER_UPDATED = "container.updated"
    CONTAINER_UPDATE_FAILED = "container.update_failed"
    CONTAINER_MISSING = "container.missing"
    CONTAINER_LOST = "container.lost"
    CONTAINER_TAKEOVER_ASKED = "container.takeover_asked"
    CONTAINER_RESCHEDULED = "container.rescheduled"
    CONTAINER_PREEMPTED = "container.preempted"
    CONTAINER_DEPARTED = "container.departed"
    CONTAINER_DELETION_SCHEDULED = "container.deletion_scheduled"
    CONTAINER_DELETED = "container.deleted"
    NODE_REGISTERED = "node.registered"
    NODE_READY = "node.ready"
    NODE_DOWN = "node.down"
    NODE_FENCED = "node.fenced"
    NODE_FENCE_FAILED = "node.fence_failed"
    NODE_CORDONED = "node.cordoned"
    NODE_UNCORDONED = "node.uncordoned"
    NODE_SET_ASIDE = "node.set_aside"
    NODE_RESTORED = "node.restored"
    NODE_UPDATED = "node.updated"
    NODE_DELETED = "node.deleted"
    CLUSTER_CREATED = "cluster.created"
    CLUSTER_UPDATED = "cluster.updated"
    DEPLOYMENT_APPLIED = "deployment.applied"
    DEPLOYMENT_SCALED = "deployment.scaled"
    DEPLOYMENT_UNDONE = "deployment.undone"
    DEPLOYMENT_PAUSED = "deployment.paused"
    DEPLOYMENT_RESUMED = "deployment.resumed"
    DEPLOYMENT_PROMOTED = "deployment.promoted"
    DEPLOYMENT_RESTARTED = "deployment.restarted"
    DEPLOYMENT_DELETION_SCHEDULED = "deployment.deletion_scheduled"
    DEPLOYMENT_DELETED = "deployment.deleted"
    DEPLOYMENT_ROLLOUT_STARTED = "deployment.rollout_started"
    DEPLOYMENT_ROLLED_OUT = "deployment.rolled_out"
    DEPLOYMENT_ROLLOUT_FAILED = "deployment.rollout_failed"
    POLICY_APPLIED = "policy.applied"
    POLICY_DELETED = "policy.deleted"
    POLICY_PLUGIN_FAILED = "policy.plugin_failed"
    SERVICE_DOWN = "service.down"
    BROKER_DOWN = "broker.down"
    DATABASE_REPLICATION_LAG = "database.replication_lag"
    QUEUE_BACKLOG = "queue.backlog"
    OUTBOX_BACKLOG = "outbox.backlog"
    DEAD_LETTERS = "dead.letters"
    NODE_DEAF = "node.deaf"
    NODE_RUNTIME_DOWN = "node.runtime_down"
    CONTAINER_STUCK = "container.stuck"
    CONTAINER_CRASH_LOOPING = "container.crash_looping"
    DEPLOYMENT_METRIC_UNKNOWN = "deployment.metric_unknown"
    CAPACITY_LOW = "capacity.low"
    RESILIENCE_LOST = "resilience.lost"
    PROBLEM_RESOLVED = "problem.resolved"
    WEBHOOK_GIVEN_UP = "webhook.given_up"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_DELETED = "webhook.deleted"
    DEAD_REPLAYED = "dead.replayed"
    DEAD_DROPPED = "dead.dropped"
    SECRET_SET = "secret.set"  # noqa: S105 - a kind of event
    SECRET_DELETED = "secret.deleted"  # noqa: S105 - a kind of event
    USER_CREATED = "user.created"
    USER_PASSWORD_SET = "user.password_set"  # noqa: S105 - a kind of event
    USER_UPDATED = "user.updated"
    USER_DELETED = "user.deleted"
    TOKEN_CREATED = "token.created"  # noqa: S105 - a kind of event
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - a kind of event


#: Events that put a container in front of the scheduler.
REQUESTS = frozenset({Kind.CONTAINER_REQUESTED, Kind.CONTAINER_RESCHEDULED, Kind.CONTAINER_PREEMPTED})

#: Events that may let a waiting container be placed: room, or that it need not mind a node any more.
SUPPLY = frozenset(
    {
        Kind.NODE_REGISTERED,
        Kind.NODE_READY,
        Kind.NODE_UNCORDONED,
        Kind.NODE_RESTORED,
        Kind.NODE_UPDATED,
        Kind.NODE_CORDONED,
        # Also, what may have run there until then does no more, and is not waited for.
        Kind.NODE_DOWN,
        Kind.NODE_DELETED,
        Kind.CONTAINER_DELETED,
        Kind.CONTAINER_DEPARTED,
        Kind.CONTAINER_PROVISION_FAILED,
        Kind.CLUSTER_UPDATED,
        Kind.POLICY_APPLIED,
    }
)


#: Events after which there may be something to do with the replicas of a deployment.
REPLICAS = frozenset(
    {
        Kind.CONTAINER_PROVISIONED,
        Kind.CONTAINER_PROVISION_FAILED,
        Kind.CONTAINER_BOOTSTRAPPED,
        Kind.CONTAINER_BOOTSTRAP_FAILED,
        Kind.CONTAINER_HEALTHY,
        Kind.CONTAINER_UNHEALTHY,
        Kind.CONTAINER_RESTARTED,
        Kind.CONTAINER_MISSING,
        Kind.CONTAINER_LOST,
        Kind.CONTAINER_DELETION_SCHEDULED,
        Kind.CONTAINER_DELETED,
    }
)


# Not frozen, which would make each three times as dear: a scheduler makes thousands a second. Nobody changes one.
@dataclass(slots=True)
class Envelope:
    """One message.

    `subject` is the uuid of the container, node or cluster it is about, `cluster` the uuid of its cluster,
    `generation` the container's placement number (0 where there is none), `at` UTC in ISO 8601.
    """

    kind: str
    cluster: str
    subject: str
    generation: int = 0
    trace_id: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: urandom(16).hex())
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    version: int = VERSION


def encode(envelopes: Sequence[Envelope]) -> bytes:
    """Envelopes as a message body."""
    return orjson.dumps(envelopes)


def join(bodies: Iterable[bytes]) -> bytes:
    """Several non-empty message bodies as one, without reading them."""
    return b"[" + b",".join(body[1:-1] for body in bodies) + b"]"


def decode(body: bytes) -> list[Envelope]:
    """The envelopes of a message body; MalformedMessage if it is not one or is of another version."""
    try:
        parts = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedMessage(f"not JSON: {error}") from error
    if not isinstance(parts, list) or not parts:
        raise MalformedMessage("not a non-empty list of envelopes")
    return [_envelope(part) for part in parts]


_REPORTS = frozenset(Report)


def report_key(kind: Report, node_id: str) -> str:
    """The routing key of a report. RabbitMQ lets a node use no other id than its own."""
    return f"{kind}.{node_id}"


def decode_report(body: bytes, routing_key: str) -> list[Envelope]:
    """The envelopes of a report; MalformedMessage, too, if one tells of another kind or node than its key may.

    Keys that are not of a node are believed: only the control plane, and agents of before, can send those.
    """
    envelopes = decode(body)
    kind, _, node_id = routing_key.partition(".")
    if node_id and kind in _REPORTS:
        for one in envelopes:
            said = one.subject if one.kind in ABOUT_NODE else one.body.get("node_id")
            if one.kind != kind or said != node_id:
                raise MalformedMessage(f"node {node_id} sent a {kind} report that claims to be a {one.kind} of {said}")
    return envelopes


_TYPES: dict[str, type] = {
    "kind": str,
    "cluster": str,
    "subject": str,
    "generation": int,
    "trace_id": str,
    "body": dict,
    "id": str,
    "at": str,
    "version": int,
}


def _envelope(part: object) -> Envelope:
    if not isinstance(part, dict) or part.keys() != _TYPES.keys():
        raise MalformedMessage("an envelope has other fields than version 1 has")
    if part["version"] != VERSION:
        raise MalformedMessage(f"version {part['version']} is not read here; this is version {VERSION}")
    for name, kind in _TYPES.items():
        if type(part[name]) is not kind:
            raise MalformedMessage(f"{name} is not a {kind.__name__}")
    return Envelope(**part)
