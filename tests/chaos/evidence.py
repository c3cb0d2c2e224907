"""What the checker judges: plain facts from the tables, the brokers, the machines and the client's own log."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Amount(NamedTuple):
    """Cpu in millicores, memory and disk in bytes, a number of placements, and how many of them are stateful."""

    cpu: int = 0
    memory: int = 0
    disk: int = 0
    containers: int = 0
    stateful: int = 0

    def plus(self, other: "Amount") -> "Amount":
        """The sum."""
        return Amount(*(mine + its for mine, its in zip(self, other, strict=True)))


@dataclass(frozen=True, slots=True)
class Container:
    """A row of `containers`; `node` is a hostname. Those of one `apart` must be on nodes of their own. A replica has
    the id of its `deployment`, which may be gone, and the number of the `revision` that it is of.
    """

    id: str
    hostname: str
    status: str
    generation: int
    node: str | None
    size: Amount
    type: str = "STATELESS"
    waiting: bool = False
    message: str | None = None
    apart: str | None = None
    deployment: str | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """A row of `nodes`."""

    id: str
    hostname: str
    status: str
    capacity: Amount
    claimed: Amount
    schedulable: bool = True


@dataclass(frozen=True, slots=True)
class Departure:
    """A row of `departures`: a former placement that still holds its claim."""

    container_id: str
    generation: int
    node: str
    size: Amount


@dataclass(frozen=True, slots=True)
class Event:
    """A row of `events`."""

    seq: int
    kind: str
    subject_type: str
    subject_id: str
    subject_name: str
    generation: int
    node: str | None
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance on a machine, as the machine itself tells."""

    node: str
    hostname: str
    container_id: str
    generation: int
    running: bool
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A machine's own note that an instance began or ceased to run. `at` is in seconds of the one clock there is."""

    at: float
    node: str
    container_id: str
    generation: int
    running: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """A container in an answer of the API."""

    id: str
    hostname: str
    generation: int


@dataclass(frozen=True, slots=True)
class Request:
    """What the client asked for and was told, over all its tries with the same words.

    `op` is create, delete or reschedule; `status` the HTTP status of the definite answer, None if there never was one;
    `answers` each accepted answer's containers (more than one where the client asked again on purpose); `unclear` how
    many tries before the first answer may have been carried out although no answer came; `doomed` marks a create that
    cannot succeed, by the client's own fault. `target` is the id of the container to delete or reschedule. It was sent
    for the first time at `at`, and answered for the last time at `until`: what it asks for was done between the two.
    """

    number: int
    op: str
    at: float
    hostnames: tuple[str, ...]
    status: int | None
    answers: tuple[tuple[Answered, ...], ...] = ()
    unclear: int = 0
    doomed: bool = False
    target: str | None = None
    until: float = math.inf

    @property
    def accepted(self) -> bool:
        """Whether the API took it."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Deployment:
    """A row of `deployments`. `phase` and `why` are how far its rollout of `rolls` is, and why it failed."""

    id: str
    name: str
    version: int
    revision: int
    replicas: int
    paused: bool = False
    leaving: bool = False
    rolls: int = 0
    phase: str = ""
    why: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """A row of `revisions`."""

    deployment: str
    number: int
    template: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """A deployment in an answer of the API; `template` is that of its revision."""

    id: str
    version: int
    revision: int
    replicas: int
    paused: bool = False
    leaving: bool = False
    template: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Demand:
    """What the owner of a deployment asked of it and was told, over all tries with the same words.

    `op` is declare, scale, undo, pause, resume, restart or retire (delete). `status` is that of the definite answer,
    None if there never was one; `told` what it says. `unclear` tries got no answer: each of them may be carried out at
    any later time, but a declaration only while the deployment is of the version it was written for.
    """

    number: int
    op: str
    name: str
    status: int | None
    told: Told | None = None
    unclear: int = 0
    replicas: int | None = None
    template: Mapping[str, Any] | None = None

    @property
    def accepted(self) -> bool:
        """Whether the API took it."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything there is to judge by. `queues` are message counts by queue name."""

    containers: Sequence[Container] = ()
    nodes: Sequence[Node] = ()
    departures: Sequence[Departure] = ()
    events: Sequence[Event] = ()
    outbox: int = 0
    queues: Mapping[str, int] = field(default_factory=dict)
    instances: Sequence[Instance] = ()
    history: Sequence[Change] = ()
    requests: Sequence[Request] = ()
    deployments: Sequence[Deployment] = ()
    revisions: Sequence[Revision] = ()
    demands: Sequence[Demand] = ()
