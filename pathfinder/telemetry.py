"""Every metric of a Pathfinder process: what it counts, in which unit, with which labels.

Others only call `.inc()`, `.observe()` or `.set()` on these. Each role gives all of them at `/metrics`; those of work
it does not do stay without a sample. `docs/reference/metrics.md` lists them, and a test holds it to this file.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram, Info, generate_latest

from pathfinder import __version__

MEDIA_TYPE = CONTENT_TYPE_LATEST

#: From one small transaction to an image that is downloaded first.
_WORK_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

# Every role.
BUILD = Info("pathfinder_build", "The version of this process.")
BUILD.info({"version": __version__})
ROLE = Gauge("pathfinder_role", "1 for each role this process runs.", ["role"])
LEADER = Gauge("pathfinder_leader", "1 while this process leads in the role, 0 while it follows.", ["role"])
PART = Gauge("pathfinder_part_up", "1 while a part this process needs answers, else 0.", ["part"])

# RabbitMQ.
BROKER_UP = Gauge("pathfinder_broker_up", "1 while the role's connection to RabbitMQ stands, else 0.", ["role"])
BROKER_CONNECTS = Counter(
    "pathfinder_broker_connects_total",
    "Connections made to RabbitMQ; all but the first of a role replaced one.",
    ["role"],
)
CONSUMED = Counter("pathfinder_messages_consumed_total", "Messages worked on and acknowledged.", ["queue"])
FAILED = Counter(
    "pathfinder_messages_failed_total",
    "Messages that failed: given back to be tried again (requeued), or set aside as malformed (set_aside).",
    ["queue", "outcome"],
)
HANDLING = Histogram(
    "pathfinder_messages_handling_seconds",
    "Time from taking a batch of messages to its acknowledgement.",
    ["queue"],
    buckets=_WORK_SECONDS,
)
PUBLISHED = Counter("pathfinder_messages_published_total", "Messages the broker confirmed.", ["exchange"])
PUBLISH_FAILED = Counter(
    "pathfinder_messages_publish_failed_total",
    "Messages the broker did not take: no queue, or no answer.",
    ["exchange"],
)

# PostgreSQL.
DATABASE_CONNECTS = Counter("pathfinder_database_connects_total", "Connections made to PostgreSQL.")
DATABASE_FAILED = Counter("pathfinder_database_failed_total", "Transactions that found PostgreSQL not answering.")
EVENTS = Counter(
    "pathfinder_events_total",
    "Events written, by kind; one whose transaction failed afterwards is counted too.",
    ["kind"],
)

# api.
REQUESTS = Counter("pathfinder_http_requests_total", "Requests answered.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "pathfinder_http_request_seconds", "Time to the end of an answer; streams are not in it.", ["method", "route"]
)
STREAMS = Gauge("pathfinder_event_streams", "Clients that follow events now.")
BACKLOG = Gauge(
    "pathfinder_backlog", "Messages waiting in the outbox and the shared queues; counted up to their mark.", ["place"]
)
REFUSED = Counter("pathfinder_creates_refused_total", "Creates refused because too much work was waiting.")

# api, of the whole Pathfinder, looked at when it is asked for; none, or NaN, while PostgreSQL is away.
HEALTH = Gauge("pathfinder_health", "1 for how Pathfinder is as a whole: ok, degraded or down.", ["state"])
FINDINGS = Gauge("pathfinder_findings", "Things that are wrong, open problems included.", ["severity"])
NODES = Gauge("pathfinder_nodes", "Nodes by state.", ["state"])
CONTAINERS = Gauge("pathfinder_containers", "Containers by status, DELETED left out.", ["status"])
WAITING = Gauge("pathfinder_containers_waiting", "Containers that no node can take now.")
OUTBOX_ROWS = Gauge("pathfinder_outbox_rows", "Messages that wait to be published.")
OUTBOX_OLDEST = Gauge("pathfinder_outbox_oldest_seconds", "Age of the oldest message that waits for a relay.")
QUEUE_MESSAGES = Gauge("pathfinder_queue_messages", "Messages in a shared queue, or in those of all nodes.", ["queue"])
STANDBY_LAG = Gauge("pathfinder_standby_lag_bytes", "How far a standby of PostgreSQL is behind.", ["standby"])

# scheduler.
PREEMPTIONS = Counter("pathfinder_preemptions_total", "Containers that gave way to more urgent ones.")
PLACEMENTS = Counter(
    "pathfinder_placements_total",
    "Decisions about containers: placed, unplaceable (it waits), conflict (others were faster time after time).",
    ["outcome"],
)
CLAIMS_LOST = Counter(
    "pathfinder_claims_lost_total",
    "Times that a container was to be decided again because another scheduler changed its node first.",
)
PLUGIN_FAILED = Counter(
    "pathfinder_plugins_failed_total",
    "Batches that a filter or scorer of another package was left out of because it failed.",
    ["noun", "name"],
)
PLACEMENT_SECONDS = Histogram(
    "pathfinder_placement_seconds",
    "Time of one batch of placements: reading, deciding, claiming and committing.",
    buckets=_WORK_SECONDS,
)

# controller.
RESILIENCE = Gauge(
    "pathfinder_resilience_waiting_containers",
    "Stateless containers that would fit nowhere else if this node or zone (domain) died now; of the leader only.",
    ["cluster", "domain", "name"],
)

LOOKS = Counter(
    "pathfinder_deployment_looks_total",
    "Looks at deployments: acted (replicas were made, changed or deleted), nothing, failed.",
    ["outcome"],
)
LOOK_SECONDS = Histogram(
    "pathfinder_deployment_look_seconds",
    "Time of one look at a deployment: reading, deciding, writing and committing.",
    buckets=_WORK_SECONDS,
)

METRIC_READS_FAILED = Counter(
    "pathfinder_metric_reads_failed_total",
    "Times that a metric which somebody else knows could not be told: its source is down, slow, or answers no number.",
    ["source"],
)

# relay.
RELAYED = Counter("pathfinder_outbox_published_total", "Rows of the outbox published and deleted.")
HELD = Gauge("pathfinder_queues_held", "Destinations whose queue, full or without an answer, is left alone now.")

# controller.
TIDIED = Counter("pathfinder_rows_tidied_total", "Old rows removed.", ["table"])

# recorder.
REPORTS = Counter("pathfinder_reports_recorded_total", "Reports of agents written into the store.", ["kind"])

# agent.
OPERATION_SECONDS = Histogram(
    "pathfinder_runtime_operation_seconds",
    "Time of one operation of the runtime (LXD), failed ones included.",
    ["operation"],
    buckets=_WORK_SECONDS,
)
OPERATION_FAILED = Counter(
    "pathfinder_runtime_operations_failed_total",
    "Operations of the runtime (LXD) that failed, and whose fault it was: node or request.",
    ["operation", "fault"],
)
BUSY = Gauge("pathfinder_agent_commands_busy", "Commands this agent has in hand, waiting ones included.")


def exposition() -> bytes:
    """All metrics of this process, in Prometheus's text format."""
    return generate_latest(REGISTRY)


@contextmanager
def timed(histogram: Histogram) -> Iterator[None]:
    """Observe how long the body takes, in seconds, also when it raises."""
    began = time.perf_counter()
    try:
        yield
    finally:
        histogram.observe(time.perf_counter() - began)
