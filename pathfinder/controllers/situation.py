"""What is looked at to tell whether something is wrong: plain facts, as of one moment. Times are in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ClusterRef:
    """A cluster's identity."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class RoleSeen:
    """A process of a role, as it last said of itself. `wrong`: what it needs and does not have; empty if ready."""

    role: str
    host: str
    silent: float
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class NodeRef:
    """A node's identity."""

    id: UUID
    hostname: str
    cluster: ClusterRef


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """A node that is DOWN or set aside. `expected`: its silence was announced, or it just joined. `lost`: containers
    that wait for it. `held_back`: why it is DOWN although it is heard.
    """

    id: UUID
    hostname: str
    cluster: ClusterRef
    down: bool
    expected: bool = False
    aside: str | None = None
    lost: int = 0
    held_back: str | None = None


@dataclass(frozen=True, slots=True)
class Failing:
    """A container that does not stay up: how often its instance was gone lately, how many provisions in a row failed
    of one that still does not run, how often its node restarted it since it last stayed well.
    """

    id: UUID
    hostname: str
    cluster: ClusterRef
    missing: int = 0
    attempts: int = 0
    message: str = ""
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Containers of one cluster that wait for a node, or for the node they are on: how many, and a few by name."""

    cluster: ClusterRef
    count: int
    examples: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Stuck:
    """Containers whose node is READY, and has left them SCHEDULED or SCHEDULE_DELETION for long: a few by name."""

    node: NodeRef
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claimed:
    """How much of one resource is claimed on the nodes of a cluster that take placements."""

    cluster: ClusterRef
    resource: str
    claimed: int
    capacity: int

    @property
    def share(self) -> float:
        """From 0 to 1, or more."""
        return self.claimed / self.capacity if self.capacity else 0.0


@dataclass(frozen=True, slots=True)
class PluginFailing:
    """A filter or scorer of another package (`plugin`: what and its name) that was left out of decisions lately."""

    cluster: ClusterRef
    plugin: str
    words: str


@dataclass(frozen=True, slots=True)
class Standby:
    """A standby of PostgreSQL: how far it is behind. `connected` is False where its slot has no receiver."""

    name: str
    connected: bool
    bytes_behind: int = 0
    seconds_behind: float = 0.0


@dataclass(frozen=True, slots=True)
class Survival:
    """Whether a cluster would survive the death of any one node. `nodes`: how many are registered."""

    cluster: ClusterRef
    nodes: int
    survives: bool
    words: str = ""


@dataclass(frozen=True, slots=True)
class Situation:
    """All of it. None: not known just now, so nothing is concluded from it.

    `deaf` are READY nodes whose queue nobody reads; `mute` those whose agent says that LXD does not answer.
    """

    roles: tuple[RoleSeen, ...] = ()
    broker_silent: float = 0.0
    queues: Mapping[str, int] | None = None
    outbox_oldest: float = 0.0
    dead_letters: int = 0
    nodes: tuple[NodeSeen, ...] = ()
    deaf: tuple[NodeRef, ...] | None = None
    mute: tuple[NodeRef, ...] = ()
    failing: tuple[Failing, ...] = ()
    unplaceable: tuple[Waiting, ...] = ()
    lost: tuple[Waiting, ...] = ()
    stuck: tuple[Stuck, ...] | None = None
    claimed: tuple[Claimed, ...] = ()
    standbys: tuple[Standby, ...] = ()
    survivals: tuple[Survival, ...] | None = None
    plugins: tuple[PluginFailing, ...] = ()
