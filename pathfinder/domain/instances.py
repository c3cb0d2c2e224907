"""What an agent asks of a runtime, and what a runtime answers: plain values, no LXD in them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pathfinder.domain.bootstrapping import File
from pathfinder.domain.lifecycle import ContainerType
from pathfinder.domain.resources import Resources


class Fault(StrEnum):
    """Whose fault a failed provision is: another node may succeed where the fault is the node's."""

    REQUEST = "request"
    NODE = "node"


class Stage(StrEnum):
    """The steps of a provision, in order, as progress reports and `pfi --wait` name them."""

    IMAGE = "image"
    CREATE = "create"
    START = "start"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class InstanceOrder:
    """One instance to be made.

    `image` is `[REMOTE:]ALIAS`; without a remote, an alias of the node's own image store is tried first, then the
    `ubuntu` remote. `resources` are its limits; amounts of 0 mean no limit. `cluster_id` and `container_id` are uuids.
    `files` are written before its first start. `checks` and `restart` are bodies of `domain/checks.py` as JSON, kept
    with the instance for whoever looks after it, and so is the `digest` of what may change while it runs.
    """

    hostname: str
    container_id: str
    generation: int
    cluster_id: str
    image: str
    type: ContainerType = ContainerType.STATELESS
    resources: Resources = field(default_factory=Resources)
    profiles: tuple[str, ...] = ("default",)
    config: dict[str, str] = field(default_factory=dict)
    devices: dict[str, dict[str, str]] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    files: tuple[File, ...] = ()
    user_data: str | None = None
    checks: tuple[dict[str, Any], ...] = ()
    restart: dict[str, Any] = field(default_factory=dict)
    digest: str = ""

    def instance(self, *, running: bool = False) -> "Instance":
        """What is there once it was carried out."""
        return Instance(
            self.hostname,
            running,
            self.container_id,
            self.generation,
            self.cluster_id,
            type=self.type,
            checks=self.checks,
            restart=self.restart,
            digest=self.digest,
        )


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance that is there. `container_id` is None when Pathfinder did not make it.

    `address` is its first global IPv4 if that is known without extra cost, else None.
    """

    hostname: str
    running: bool
    container_id: str | None = None
    generation: int = 0
    cluster_id: str | None = None
    address: str | None = None
    type: ContainerType = ContainerType.STATELESS
    checks: tuple[dict[str, Any], ...] = ()
    restart: dict[str, Any] = field(default_factory=dict)
    digest: str = ""


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How a command in an instance ended: `exit_code` None if it did not by itself; `output` the end of what it wrote,
    to both streams as it came.
    """

    exit_code: int | None
    output: str


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a node is: its capacity and software. `machine_id` tells one machine from its clone.

    `capabilities` are those of LXD's API extensions that containers may want.
    """

    capacity: Resources
    architecture: str
    runtime: str
    runtime_version: str
    machine_id: str
    pool_driver: str
    disk_limits: bool
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    """What a running instance uses: CPU time and network traffic since its start, its memory and disk now.

    `disk_bytes` None: its storage pool does not count that.
    """

    cpu_seconds: float
    memory_bytes: int
    received_bytes: int
    sent_bytes: int
    disk_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class NodeUsage:
    """How busy a node is now: load averages over 1, 5 and 15 minutes, memory and disk in use in bytes."""

    load_1m: float
    load_5m: float
    load_15m: float
    memory_used_bytes: int
    disk_used_bytes: int
