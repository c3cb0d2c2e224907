"""What clients get: the response bodies of the HTTP API."""

from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, Field

from pathfinder.domain.attempts import DEFAULT_ATTEMPTS
from pathfinder.domain.instances import Fault
from pathfinder.domain.lifecycle import ContainerType, Health, Status
from pathfinder.domain.policies import Change
from pathfinder.domain.problems import ProblemKind, Severity
from pathfinder.domain.runs import StepStatus
from pathfinder.domain.webhooks import Format, State

Item = TypeVar("Item")


class Amounts(BaseModel):
    """An amount of each resource: cpu in millicores, memory and disk in bytes."""

    cpu_millicores: int
    memory_bytes: int
    disk_bytes: int


class Allocated(Amounts):
    """What a node's containers claim."""

    containers: int
    stateful: int = 0


class Container(BaseModel):
    """A container as it stands."""

    id: UUID
    hostname: str
    cluster: str
    image: str
    type: ContainerType
    status: Status
    health: Health = Field(description="What its checks say; UNKNOWN until they answered, or where it has none.")
    health_message: str | None = Field(None, description="Why it is UNHEALTHY.")
    health_at: datetime | None = Field(None, description="Since when its health is what it is.")
    restarts: int = Field(0, description="Restarts by its node since it last stayed well.")
    checks: list[dict[str, Any]] = Field(default_factory=list, description="As they were asked for.")
    node: str | None = Field(description="Hostname of its node, once placed.")
    simulated: bool = Field(description="True where its node is simulated.")
    ipaddress: str | None
    generation: int = Field(description="Number of its placement; only grows.")
    resources: Amounts
    labels: dict[str, str]
    node_labels: dict[str, str]
    profiles: list[str]
    config: dict[str, str]
    devices: dict[str, dict[str, str]]
    limits: Amounts | None = Field(None, description="The most it may use; 0 where there is no limit.")
    priority: int = 0
    policy: str | None = Field(None, description="Its own placement policy; null: the cluster's.")
    architecture: str | None = Field(None, description="The only one it runs on.")
    constraints: list[str] = Field(default_factory=list, description="Conditions on its node's labels and attributes.")
    pool: str = Field("default", description="Pool of nodes it may go to; * for any.")
    tolerations: list[str] = Field(default_factory=list, description="Taints it puts up with.")
    affinity: list[dict[str, Any]] = Field(
        default_factory=list, description="Company it must have or avoid, or would rather: as it was asked for."
    )
    spread: list[dict[str, Any]] = Field(
        default_factory=list, description="Groups it is spread evenly with: as it was asked for."
    )
    budget: dict[str, Any] | None = Field(
        None, description="How much of its group may be away at once: as it was asked for."
    )
    gang: dict[str, Any] | None = Field(None, description="id and size of the group it was to be placed with at once.")
    bootstrappers: list[str] = Field(default_factory=list, description="What is carried out in it, by name, in order.")
    message: str | None = Field(description="Why it is not where it should be, in words; null when all is well.")
    failed_attempts: int = Field(0, description="How many provisions in a row have failed.")
    max_attempts: int = Field(DEFAULT_ATTEMPTS, description="How many may fail before it is not tried again.")
    retry_at: datetime | None = Field(None, description="When it is tried again, where it waits for that.")
    created_at: datetime
    status_at: datetime = Field(description="When the status last changed.")


class SecretValues(BaseModel):
    """Secrets, for the node that writes them into a container."""

    values: dict[str, str]


class Attempt(BaseModel):
    """A provision that failed."""

    at: datetime
    node: str
    generation: int = Field(description="Number of the placement that failed.")
    fault: Fault = Field(description="request: no node could do it; node: another one might.")
    reason: str
    simulated: bool = Field(False, description="True where the node is simulated.")


class Bootstrap(BaseModel):
    """One bootstrapper of one run on a container."""

    run: int = Field(description="Grows with each time they are carried out.")
    step: int = Field(description="Its place, from 1.")
    name: str
    type: str
    status: StepStatus
    attempts: int = Field(description="How often it was tried in this run.")
    exit_code: int | None = Field(description="Of the last try; null where it did not end by itself.")
    output: str = Field(description="The end of what the last try wrote.")
    started_at: datetime
    ended_at: datetime | None


class Node(BaseModel):
    """A node as it stands."""

    id: UUID
    hostname: str
    cluster: str
    ipaddress: str
    status: str = Field(description="READY or DOWN.")
    schedulable: bool = Field(description="False while cordoned.")
    simulated: bool
    runtime: str
    runtime_version: str
    architecture: str
    pool_driver: str
    agent_version: str
    labels: dict[str, str] = Field(description="What its agent says, and what was set here, which goes before it.")
    own_labels: dict[str, str] = Field(default_factory=dict, description="Those of its labels that were set here.")
    taints: list[str] = Field(default_factory=list, description="Marks that keep away what does not tolerate them.")
    pool: str = "default"
    max_containers: int | None = Field(None, description="The most containers it may have; null: no limit.")
    max_stateful: int | None = Field(None, description="The most stateful ones; null: no limit.")
    overcommit: dict[str, float] = Field(
        default_factory=dict, description="How often its cpu, memory and disk may be promised, where not as usual."
    )
    capabilities: list[str] = Field(default_factory=list, description="What its LXD can do, of what is asked for.")
    images: list[str] = Field(default_factory=list, description="Images it has already.")
    capacity: Amounts
    allocated: Allocated
    usage: dict[str, float] = Field(
        description="load_1m, load_5m, load_15m, memory_used_bytes, disk_used_bytes; or only runtime_down: its agent "
        "says that LXD does not answer."
    )
    lease_until: datetime | None
    down_at: datetime | None = Field(None, description="Since when it is DOWN.")
    fenced_at: datetime | None = Field(None, description="When the fencing hook made sure that nothing runs on it.")
    reboot_until: datetime | None = Field(None, description="Until then its silence is expected.")
    failures: int = Field(0, description="Provisions in a row, of different containers, that failed by its fault.")
    aside_until: datetime | None = Field(None, description="Until when it is set aside; after it, it is probed.")
    aside_reason: str | None = Field(None, description="What failed there last, while it is set aside.")
    created_at: datetime


class Cluster(BaseModel):
    """A named fleet."""

    id: UUID
    name: str
    policy: str
    default_image: str
    heartbeat_seconds: float | None = Field(None, description="Time between heartbeats; null: the processes' setting.")
    lease_seconds: float | None = Field(None, description="How long a heartbeat counts; null: the processes' setting.")
    quota: dict[str, int] | None = Field(
        None, description="cpu_millicores, memory_bytes, disk_bytes, containers: the most there may be; null: no quota."
    )
    used: Allocated | None = Field(None, description="What its containers ask for together, where there is a quota.")
    overcommit: dict[str, float] = Field(
        default_factory=dict, description="How often cpu, memory and disk of its nodes may be promised."
    )
    nodes: int
    containers: int
    created_at: datetime


class Subject(BaseModel):
    """What an event is about."""

    type: str = Field(description="container, deployment, node, cluster, policy, problem or webhook.")
    id: UUID
    name: str


class Event(BaseModel):
    """A fact. `cursor` resumes a list or stream right after this event; `seq` identifies it for ever."""

    cursor: str
    seq: int
    at: datetime
    kind: str
    cluster: str
    subject: Subject
    node: str | None
    actor: str
    generation: int
    trace_id: str
    body: dict[str, Any]
    simulated: bool = Field(False, description="True where the node it is on or about is simulated, and still there.")


class Page(BaseModel, Generic[Item]):
    """One page of a list. `next_cursor` is null on the last page."""

    items: list[Item]
    next_cursor: str | None = None


class Rejection(BaseModel):
    """How many nodes one filter rejected, and why."""

    filter: str
    nodes: int
    reason: str
    wakes: list[str] = Field(
        default_factory=list, description="Kinds of event after which that may have changed; empty: any."
    )


class Explanation(BaseModel):
    """Why a container is where it is, or why it is nowhere yet."""

    hostname: str
    status: Status
    node: str | None
    policy: str | None
    policy_version: int | None = None
    seed: int | None
    ties: str | None = Field(None, description="Which of equal nodes: seed, the one whose turn it is; random, any.")
    nodes_considered: int
    weights: dict[str, float] = Field(default_factory=dict, description="The weight of each scorer, and of wishes.")
    skipped: list[str] = Field(default_factory=list, description="Plugins that failed and were left out, and why.")
    rejections: list[Rejection]
    candidates: list[dict[str, Any]] = Field(
        description="Best nodes: node, score, the score of each scorer, and its turn among equals: the lowest is taken."
    )
    recomputed: str | None = Field(None, description="The node that follows anew from what is stored of the decision.")
    decided_at: datetime | None
    message: str
    simulated: list[str] = Field(default_factory=list, description="Which of the nodes named here are simulated.")


class Policy(BaseModel):
    """A version of a placement policy, and who goes by it now."""

    name: str
    version: int = Field(description="0 for the built-in ones, which nobody can change.")
    built_in: bool
    description: str
    actor: str | None = Field(description="Who wrote this version; null for the built-in ones.")
    created_at: datetime | None
    clusters: list[str] = Field(description="Clusters whose policy it is.")
    containers: int = Field(description="Living containers that ask for it themselves.")
    problem: str | None = Field(description="Why it cannot be used now, if so: what it names is not installed.")
    document: dict[str, Any] = Field(description="What was written, as PUT takes it.")


class PolicyVersion(BaseModel):
    """One version of a policy in its history."""

    version: int
    actor: str | None
    created_at: datetime | None
    description: str
    deleted: bool = Field(description="Whether the policy was deleted then.")


class AppliedPolicy(Policy):
    """A policy as it was written."""

    change: Change


class Problem(BaseModel):
    """An RFC 9457 problem document: the one shape of every error."""

    type: str = Field(description="A URI reference that names the kind of problem.")
    title: str
    status: int
    detail: str = Field(description="What is wrong and what to do about it.")
    errors: list[dict[str, str]] = Field(default_factory=list, description="Wrong fields: field, message.")
    trace_id: str | None = None


class Registered(BaseModel):
    """A node's admission: its identity and credential."""

    node_id: UUID
    cluster_id: UUID
    cluster: str
    token: str
    epoch: int = Field(description="Grows each time the node goes DOWN; commands and lists of an older one are void.")
    heartbeat_seconds: float
    lease_seconds: float


class DeadLetter(BaseModel):
    """A message nobody could process."""

    id: int
    at: datetime = Field(description="When it failed for the last time.")
    queue: str = Field(description="The queue it could not be processed from.")
    kinds: list[str] = Field(description="Kinds of its envelopes.")
    subjects: list[str] = Field(description="What its envelopes are about: hostnames, or ids where it tells no name.")
    reason: str
    deliveries: int = Field(description="How often it was handed out.")
    exchange: str
    routing_key: str
    size_bytes: int


class DeadMessage(DeadLetter):
    """A message nobody could process, whole."""

    replayable: bool = Field(description="False where no reader would ever take it; it can only be dropped.")
    envelopes: list[Any] | None = Field(description="Its envelopes; null where its body is no list of them.")
    text: str | None = Field(description="Its body as text, where it is no list of envelopes; 64 KiB at most.")


class KnownProblem(BaseModel):
    """Something that is wrong, or was."""

    id: UUID
    kind: ProblemKind
    severity: Severity
    cluster: str | None = Field(description="Null where the whole Pathfinder is concerned.")
    subject: str = Field(description="What it is about: the name of a node, a container, a queue, …")
    summary: str
    advice: str = Field(description="What to do about it.")
    opened_at: datetime
    closed_at: datetime | None = Field(description="When it was over; null while it is not.")
    simulated: bool = Field(False, description="True where it is about a simulated node.")


class Replayed(BaseModel):
    """What became of the dead letters that were to be replayed."""

    replayed: int = Field(description="Put back to where they were published first.")
    kept: int = Field(description="Left, because no reader would ever take them.")


class Dropped(BaseModel):
    """How many dead letters are gone for good."""

    dropped: int


class LastDelivery(BaseModel):
    """The last notice that was sent to a webhook, taken or not."""

    at: datetime
    state: State
    kind: str
    attempts: int
    taken: bool
    error: str | None


class Webhook(BaseModel):
    """Somebody who is told of problems."""

    name: str
    url: str
    format: Format
    kinds: list[str] = Field(description="Only problems of these kinds; all if empty.")
    created_at: datetime
    pending: int = Field(description="Notices that wait to be taken.")
    last_delivery: LastDelivery | None


class NewWebhook(Webhook):
    """A webhook as it was made: the only time its secret is shown."""

    secret: str


class Tested(BaseModel):
    """What a webhook's receiver said to a test."""

    taken: bool
    answer: str
    seconds: float


class Loss(BaseModel):
    """What the death of one node, or of all nodes of one zone, would mean now."""

    domain: str = Field(description="node or zone.")
    name: str
    nodes: int
    containers: int = Field(description="Stateless containers there.")
    waiting: int = Field(description="Those of them that would fit nowhere else.")
    stateful: int = Field(description="Stateful containers there: they would wait for their node in any case.")


class Planned(BaseModel):
    """A container in a plan: where it would go, or why it would wait."""

    hostname: str
    source: str | None = Field(None, description="The node it is on now.")
    node: str | None = Field(description="The node it would go to; null: none.")
    reason: str | None = Field(None, description="Why it would have no node.")
    candidates: list[dict[str, Any]] = Field(
        default_factory=list, description="The best nodes, as in an explanation; only where `explain` asks for it."
    )
    rejections: list[Rejection] = Field(default_factory=list, description="What filters rejected; likewise.")


class Displaced(BaseModel):
    """A container that would give way to a more urgent one."""

    hostname: str
    node: str
    by: str = Field(description="Hostname of the more urgent one.")


class Filling(BaseModel):
    """How full a node is, and would be: shares of what it has, and the number of containers that claim."""

    hostname: str
    cpu_before: float
    cpu_after: float
    memory_before: float
    memory_after: float
    containers_before: int
    containers_after: int


class Plan(BaseModel):
    """What would happen now; nothing of it is done."""

    cluster: str
    seed: int = Field(description="What ties were broken by.")
    fits: bool = Field(description="Whether every container would have a node at once.")
    placed: list[Planned]
    waiting: list[Planned]
    staying: list[Planned] = Field(description="Stateful containers, which are not moved without being told.")
    preempted: list[Displaced] = Field(description="Those who would give way to containers that would wait.")
    skipped: list[str] = Field(default_factory=list, description="Plugins that failed and were left out, and why.")
    nodes: list[Filling] = Field(description="The nodes that would change.")
    simulated: list[str] = Field(default_factory=list, description="Which of the nodes named here are simulated.")


class NodesNeeded(BaseModel):
    """How few nodes the workload would have fitted on at its peak (Borg's cell compaction)."""

    nodes: int = Field(description="90th percentile of the trials.")
    least: int
    most: int
    of: int = Field(description="Nodes there were then.")
    containers: int = Field(description="Containers at the peak that fit on all nodes.")
    left_out: int = Field(description="Those that did not.")
    at: datetime


class PolicyReplay(BaseModel):
    """How one policy would have done. Shares are of what the READY nodes have; times are in seconds."""

    policy: str
    version: int
    needed: NodesNeeded
    cpu: float
    memory: float
    nodes_used: float
    imbalance: float = Field(description="Standard deviation over nodes of the greater of their cpu and memory shares.")
    stranded_cpu: float = Field(description="Share of all cpu that is free where too little memory is.")
    stranded_memory: float = Field(description="Share of all memory that is free where too little cpu is.")
    pending_p50_seconds: float
    pending_p99_seconds: float
    never_placed: int
    decision_seconds: float = Field(description="Time of the engine for one container.")
    series: dict[str, list[float]] = Field(description="The same shares and counts, at each moment of `at`.")


class Replay(BaseModel):
    """A recorded workload, replayed under several policies side by side."""

    cluster: str
    since: datetime
    until: datetime
    nodes: int
    containers: int = Field(description="Those that were there at the start, and those that came.")
    came: int
    went: int
    forgotten: int = Field(description="Containers and nodes whose sizes are not recorded any more; they are left out.")
    share: float = Field(
        default=1.0,
        description="Below 1 where there was too much: only this share of the containers was replayed, on as large a "
        "share of the nodes, and all counts are theirs.",
    )
    at: list[float] = Field(description="Seconds since the start, of each moment of the series.")
    policies: list[PolicyReplay]


class Resilience(BaseModel):
    """What a cluster would survive now, under its policy."""

    cluster: str
    policy: str
    zone_label: str
    survives_any_node: bool
    survives_any_zone: bool | None = Field(description="null where no node has the zone label.")
    losses: list[Loss] = Field(description="Nodes, then zones; the worst of each first.")
    simulated: list[str] = Field(default_factory=list, description="Which of the nodes named here are simulated.")
