"""The columns of each table: first those Pathfinder's users know, then those of `-o wide`."""

from collections.abc import Sequence

from pathfinder.cli.pfi.table import Column, Columns
from pathfinder.cli.pfi.terminal import Colour
from pathfinder.cli.pfi.words import age, cpu, details, few, moment, node_name, pairs, quota, ratios, size
from pathfinder.domain.deployment_views import Deployment, Revision
from pathfinder.domain.identity import KnownSession, Secret, Token, User
from pathfinder.domain.lifecycle import Health
from pathfinder.domain.problems import ProblemKind, Severity
from pathfinder.domain.resources import format_bytes, format_cpu
from pathfinder.domain.rollouts import Phase
from pathfinder.domain.views import (
    Attempt,
    Cluster,
    Container,
    DeadLetter,
    Event,
    KnownProblem,
    LastDelivery,
    Node,
    Webhook,
)

_BAD = ("DOWN", "LOST", "FAILED")
_GOOD = ("READY", "PROVISIONED", "BOOTSTRAPPED", "HEALTHY", "STABLE")


_HEALTH_COLOURS = {Health.HEALTHY: Colour.GOOD, Health.UNHEALTHY: Colour.BAD, Health.UNKNOWN: Colour.FAINT}


def status_colour(status: str) -> Colour | None:
    """Green when well, red when somebody should look, yellow on its way; DELETED is past caring."""
    if status in _GOOD:
        return Colour.GOOD
    if status in _BAD or status.endswith("_ERROR"):
        return Colour.BAD
    return Colour.FAINT if status == "DELETED" else Colour.BUSY


def node_status(node: Node) -> str:
    """`READY`, `DOWN`, and whether it is cordoned or set aside."""
    return node.status + (",CORDONED" if not node.schedulable else "") + (",ASIDE" if node.aside_until else "")


def _scope(clusters: Sequence[str] | None) -> str:
    return "all" if clusters is None else ",".join(clusters)


def _problem_colour(problem: KnownProblem) -> Colour:
    if problem.closed_at:
        return Colour.FAINT
    return Colour.BAD if problem.severity is Severity.CRITICAL else Colour.BUSY


def _delivery(last: LastDelivery | None) -> str | None:
    if last is None:
        return None
    outcome = "taken" if last.taken else f"not taken: {last.error or 'no answer yet'}"
    return f"{moment(last.at)} {last.kind} {last.state}, {outcome}"


def _delivery_colour(last: LastDelivery | None) -> Colour | None:
    return None if last is None or last.taken else Colour.BAD


def deployment_status(it: Deployment) -> str:
    """`STABLE` where the wanted revision is rolled out whole, or what is done to it instead."""
    if it.leaving:
        return "DELETING"
    if it.paused:
        return "PAUSED"
    phase = it.rollout.get("phase") if it.rollout.get("revision") == it.revision else None
    if phase in (Phase.FAILED, Phase.CANARY):
        return str(phase).upper()
    return "STABLE" if it.stable == it.revision and phase != Phase.ROLLING else "ROLLING"


def _deployment_colour(it: Deployment) -> Colour:
    return Colour.GOOD if it.counts.available >= it.replicas else Colour.BUSY


def _load(node: Node) -> str | None:
    return f"{node.usage['load_1m']:.2f}" if "load_1m" in node.usage else None


CONTAINERS: Columns[Container] = (
    Column("HOSTNAME", lambda it: it.hostname),
    Column("IPADDRESS", lambda it: it.ipaddress),
    Column("IMAGE", lambda it: it.image),
    Column("NODE", lambda it: node_name(it.node, it.simulated)),
    Column("STATUS", lambda it: it.status.value, lambda it: status_colour(it.status)),
)
CONTAINERS_WIDE: Columns[Container] = (
    *CONTAINERS,
    Column("HEALTH", lambda it: it.health.value, lambda it: _HEALTH_COLOURS.get(it.health)),
    Column("RESTARTS", lambda it: str(it.restarts)),
    Column("AGE", lambda it: age(it.created_at)),
    Column("TYPE", lambda it: it.type.value),
    Column("CPU", lambda it: cpu(it.resources.cpu_millicores)),
    Column("MEMORY", lambda it: size(it.resources.memory_bytes)),
    Column("DISK", lambda it: size(it.resources.disk_bytes)),
    Column("LABELS", lambda it: pairs(it.labels)),
    Column("MESSAGE", lambda it: it.message),
)
NODES: Columns[Node] = (
    Column("HOSTNAME", lambda it: node_name(it.hostname, it.simulated)),
    Column("IPADDRESS", lambda it: it.ipaddress),
    Column("CREATED AT", lambda it: moment(it.created_at)),
)
NODES_WIDE: Columns[Node] = (
    *NODES,
    Column("AGE", lambda it: age(it.created_at)),
    Column("STATUS", node_status, lambda it: Colour.BUSY if "," in node_status(it) else status_colour(it.status)),
    Column("CONTAINERS", lambda it: str(it.allocated.containers)),
    # Claimed of what there is.
    Column("CPU", lambda it: f"{format_cpu(it.allocated.cpu_millicores)}/{format_cpu(it.capacity.cpu_millicores)}"),
    Column("MEMORY", lambda it: f"{format_bytes(it.allocated.memory_bytes)}/{format_bytes(it.capacity.memory_bytes)}"),
    Column("DISK", lambda it: f"{format_bytes(it.allocated.disk_bytes)}/{format_bytes(it.capacity.disk_bytes)}"),
    Column("LOAD", _load),
    Column("RUNTIME", lambda it: f"{it.runtime} {it.runtime_version}"),
    Column("POOL", lambda it: it.pool),
    Column("TAINTS", lambda it: ",".join(it.taints) or None),
    Column("LABELS", lambda it: pairs(it.labels)),
    Column("MESSAGE", lambda it: it.aside_reason),
)
DEPLOYMENTS: Columns[Deployment] = (
    Column("NAME", lambda it: it.name),
    Column("AVAILABLE", lambda it: f"{it.counts.available}/{it.replicas}", lambda it: _deployment_colour(it)),
    Column("UPDATED", lambda it: str(it.counts.updated)),
    Column("REVISION", lambda it: str(it.revision)),
    Column("STATUS", lambda it: deployment_status(it), lambda it: status_colour(deployment_status(it))),
    Column("IMAGE", lambda it: it.image),
    Column("AGE", lambda it: age(it.created_at)),
)
DEPLOYMENTS_WIDE: Columns[Deployment] = (
    *DEPLOYMENTS,
    Column("STABLE", lambda it: str(it.stable) if it.stable is not None else None),
    Column("STRATEGY", lambda it: str(it.document["strategy"].get("type", "")) or None),
    Column("LABELS", lambda it: pairs(it.labels)),
    Column("MESSAGE", lambda it: it.message),
)
REVISIONS: Columns[Revision] = (
    Column("REVISION", lambda it: str(it.revision)),
    Column("STATE", lambda it: "wanted" if it.wanted else "stable" if it.stable else None),
    Column("MADE AT", lambda it: moment(it.created_at)),
    Column("BY", lambda it: it.actor),
    Column("CAUSE", lambda it: it.cause),
)
CLUSTERS: Columns[Cluster] = (
    Column("NAME", lambda it: it.name),
    Column("POLICY", lambda it: it.policy),
    Column("IMAGE", lambda it: it.default_image),
    Column("NODES", lambda it: str(it.nodes)),
    Column("CONTAINERS", lambda it: str(it.containers)),
    Column("CREATED AT", lambda it: moment(it.created_at)),
)
CLUSTERS_WIDE: Columns[Cluster] = (
    *CLUSTERS,
    Column("AGE", lambda it: age(it.created_at)),
    Column("QUOTA", quota),
    Column("OVERCOMMIT", lambda it: ratios(it.overcommit)),
)
WEBHOOKS: Columns[Webhook] = (
    Column("NAME", lambda it: it.name),
    Column("URL", lambda it: it.url),
    Column("FORMAT", lambda it: it.format.value),
    Column("LAST DELIVERY", lambda it: _delivery(it.last_delivery), lambda it: _delivery_colour(it.last_delivery)),
)
WEBHOOKS_WIDE: Columns[Webhook] = (
    *WEBHOOKS,
    Column("PENDING", lambda it: str(it.pending)),
    Column("KINDS", lambda it: ",".join(it.kinds) or "all"),
    Column("AGE", lambda it: age(it.created_at)),
)
USERS: Columns[User] = (
    Column("NAME", lambda it: it.name),
    Column("ROLE", lambda it: it.role.value),
    Column("CLUSTERS", lambda it: _scope(it.clusters)),
    Column("LOGIN", lambda it: "single sign-on" if it.external else "password"),
    Column("AGE", lambda it: age(it.created_at)),
)
TOKENS: Columns[Token] = (
    Column("NAME", lambda it: it.name),
    Column("ROLE", lambda it: it.role.value),
    Column("CLUSTERS", lambda it: _scope(it.clusters)),
    Column("USER", lambda it: it.user),
    Column("LAST USE", lambda it: f"{age(it.used_at)} ago" if it.used_at else None),
    Column("EXPIRES", lambda it: moment(it.expires_at) if it.expires_at else None),
)
TOKENS_WIDE: Columns[Token] = (
    *TOKENS,
    Column("MACHINES", lambda it: f"{it.machines}/{it.uses}" if it.uses else str(it.machines)),
    Column("MADE BY", lambda it: it.actor),
    Column("AGE", lambda it: age(it.created_at)),
    Column("ID", lambda it: str(it.id)),
)
SECRETS: Columns[Secret] = (
    Column("NAME", lambda it: it.name),
    Column("SET BY", lambda it: it.actor),
    Column("SET", lambda it: f"{age(it.updated_at)} ago"),
    Column("AGE", lambda it: age(it.created_at)),
)
SESSIONS: Columns[KnownSession] = (
    Column("ID", lambda it: str(it.id)),
    Column("USER", lambda it: it.user),
    Column("SOURCE", lambda it: it.source),
    Column("LAST USE", lambda it: f"{age(it.used_at or it.created_at)} ago"),
    Column("EXPIRES", lambda it: moment(it.expires_at)),
)
SESSIONS_WIDE: Columns[KnownSession] = (*SESSIONS, Column("AGENT", lambda it: it.agent))
EVENTS: Columns[Event] = (
    Column("TIME", lambda it: moment(it.at)),
    Column("KIND", lambda it: it.kind, lambda it: event_colour(it.kind), least=22),
    Column("SUBJECT", lambda it: node_name(it.subject.name, it.simulated and it.node is None), least=12),
    Column("NODE", lambda it: node_name(it.node, it.simulated), least=7),
    Column("DETAILS", details),
)
EVENTS_WIDE: Columns[Event] = (
    *EVENTS[:-1],
    Column("ACTOR", lambda it: it.actor),
    Column("GENERATION", lambda it: str(it.generation)),
    Column("SEQ", lambda it: str(it.seq)),
    EVENTS[-1],
)
AUDIT: Columns[Event] = (
    Column("TIME", lambda it: moment(it.at)),
    Column("ACTOR", lambda it: it.actor),
    Column("KIND", lambda it: it.kind, lambda it: event_colour(it.kind)),
    Column("SUBJECT", lambda it: it.subject.name),
    Column("CLUSTER", lambda it: it.cluster),
    Column("DETAILS", details),
)
AUDIT_WIDE: Columns[Event] = (*AUDIT[:-1], Column("TRACE", lambda it: it.trace_id), AUDIT[-1])
DEAD_LETTERS: Columns[DeadLetter] = (
    Column("ID", lambda it: str(it.id)),
    Column("AGE", lambda it: age(it.at)),
    Column("QUEUE", lambda it: it.queue),
    Column("KIND", lambda it: few(it.kinds)),
    Column("SUBJECT", lambda it: few(it.subjects)),
    Column("REASON", lambda it: it.reason),
)
DEAD_LETTERS_WIDE: Columns[DeadLetter] = (
    *DEAD_LETTERS[:-1],
    Column("TIME", lambda it: moment(it.at)),
    Column("DELIVERIES", lambda it: str(it.deliveries)),
    Column("SIZE", lambda it: size(it.size_bytes)),
    Column("EXCHANGE", lambda it: it.exchange),
    Column("ROUTING KEY", lambda it: it.routing_key),
    DEAD_LETTERS[-1],
)

PROBLEMS: Columns[KnownProblem] = (
    Column("AGE", lambda it: age(it.opened_at)),
    Column("SEVERITY", lambda it: it.severity.value, lambda it: _problem_colour(it)),
    Column("KIND", lambda it: it.kind.value),
    Column("SUBJECT", lambda it: node_name(it.subject, it.simulated)),
    Column("WHAT", lambda it: it.summary),
)
PROBLEMS_WIDE: Columns[KnownProblem] = (
    *PROBLEMS[:-1],
    Column("CLUSTER", lambda it: it.cluster),
    Column("SINCE", lambda it: moment(it.opened_at)),
    Column("OVER", lambda it: moment(it.closed_at) if it.closed_at else None),
    PROBLEMS[-1],
    Column("WHAT TO DO", lambda it: it.advice),
)

ATTEMPTS: Columns[Attempt] = (
    Column("TIME", lambda it: moment(it.at)),
    Column("NODE", lambda it: node_name(it.node, it.simulated)),
    Column("GENERATION", lambda it: str(it.generation)),
    Column("FAULT", lambda it: it.fault.value),
    Column("REASON", lambda it: it.reason),
)


def event_colour(kind: str) -> Colour | None:
    """Only what should catch the eye."""
    if kind.endswith(("_failed", ".down", ".missing")):
        return Colour.BAD
    if kind in ("container.unplaceable", "node.cordoned", "node.set_aside"):
        return Colour.BUSY
    if kind in set(ProblemKind):
        return Colour.BAD
    return Colour.GOOD if kind in ("container.provisioned", "node.ready", "node.restored", "problem.resolved") else None
