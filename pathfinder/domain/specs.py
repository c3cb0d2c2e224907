"""What clients send: the request bodies of the HTTP API, checked field by field."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator

from pathfinder.domain import names
from pathfinder.domain.attempts import DEFAULT_ATTEMPTS, MOST_ATTEMPTS
from pathfinder.domain.lifecycle import ContainerType
from pathfinder.domain.problems import ProblemKind
from pathfinder.domain.resources import MIN_DISK_BYTES, MIN_MEMORY_BYTES, Resources, parse_bytes, parse_cpu
from pathfinder.domain.webhooks import Format

MAX_BATCH = 1000
_RESERVED_CONFIG = ("user.pathfinder.", "volatile.", "limits.cpu", "limits.memory")

Hostname = Annotated[str, AfterValidator(names.hostname)]
Image = Annotated[str, AfterValidator(names.image)]
LabelKey = Annotated[str, AfterValidator(names.label_key)]
LabelValue = Annotated[str, AfterValidator(names.label_value)]
WebhookUrl = Annotated[str, Field(max_length=2048), AfterValidator(names.web_address)]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=64)]


def _size(least: int) -> BeforeValidator:
    def parse(value: Any) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ValueError("write a size like 512MiB, or a whole number of bytes")
        return parse_bytes(value, least=least)

    return BeforeValidator(parse, json_schema_input_type=str | int | None)


def _cpu(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("write cores like 2 or 0.5, or millicores like 500m")
    return parse_cpu(value)


Cpu = Annotated[int | None, BeforeValidator(_cpu, json_schema_input_type=str | int | float | None)]
Memory = Annotated[int | None, _size(MIN_MEMORY_BYTES)]
Disk = Annotated[int | None, _size(MIN_DISK_BYTES)]


class Body(BaseModel):
    """A request body: unknown fields are refused, so that a typing mistake is never silently ignored."""

    model_config = ConfigDict(extra="forbid", str_max_length=65_536)


class ContainerSpec(Body):
    """A container as it is asked for."""

    hostname: Hostname = Field(description="Unique among the cluster's living containers.", examples=["web-01"])
    image: Image | None = Field(None, description="[REMOTE:]ALIAS; the cluster's default image if left out.")
    type: ContainerType = Field(
        ContainerType.STATELESS,
        description="STATELESS may be started anew elsewhere; STATEFUL waits for its node.",
    )
    cpu: Cpu = Field(None, description="Cores (2, 0.5) or millicores (500m); no limit if left out.")
    memory: Memory = Field(None, description="Size like 512MiB; no limit if left out.")
    disk: Disk = Field(None, description="Root disk like 10GiB; the pool's default if left out.")
    labels: Labels = Field(default_factory=dict, description="Labels of the container, to select it by.")
    node_labels: Labels = Field(default_factory=dict, description="Labels a node must have to be chosen.")
    profiles: list[Annotated[str, Field(min_length=1, max_length=63)]] = Field(
        default_factory=lambda: ["default"], max_length=32, description="LXD profiles, applied in order."
    )
    config: dict[Annotated[str, Field(min_length=1, max_length=255)], str] = Field(
        default_factory=dict, max_length=256, description="LXD instance configuration."
    )
    devices: dict[Annotated[str, Field(min_length=1, max_length=64)], dict[str, str]] = Field(
        default_factory=dict, max_length=64, description="LXD devices."
    )
    max_attempts: int = Field(
        DEFAULT_ATTEMPTS,
        ge=1,
        le=MOST_ATTEMPTS,
        description="How many failed provisions in a row end the tries; 1: it is never tried again.",
    )

    @field_validator("type", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("config")
    @classmethod
    def _not_ours(cls, value: dict[str, str]) -> dict[str, str]:
        for key in value:
            if key.startswith(_RESERVED_CONFIG):
                raise ValueError(f"{key!r} is set by Pathfinder; use the fields cpu and memory for limits")
        return value

    @property
    def resources(self) -> Resources:
        """What the container claims on its node; 0 where nothing was asked."""
        return Resources(self.cpu or 0, self.memory or 0, self.disk or 0)


class ContainerBatch(Body):
    """Several containers, accepted whole or refused whole."""

    containers: list[ContainerSpec] = Field(min_length=1, max_length=MAX_BATCH)


class ClusterSpec(Body):
    """A new cluster."""

    name: Hostname
    policy: str = Field("spread", description="Placement policy.", max_length=63)
    default_image: Image | None = Field(None, description="Image of containers that name none.")


class ClusterPatch(Body):
    """Changes to a cluster; what is left out stays."""

    policy: str | None = Field(None, max_length=63)
    default_image: Image | None = None
    heartbeat_seconds: float | None = Field(None, ge=0.5, le=300, description="Time between heartbeats of its nodes.")
    lease_seconds: float | None = Field(None, ge=1, le=3600, description="How long a node is READY after a heartbeat.")


class WebhookSpec(Body):
    """A new webhook."""

    name: Hostname
    url: WebhookUrl = Field(description="Where notices are posted: http:// or https://.")
    format: Format = Field(Format.JSON, description="What its receiver understands.")
    secret: Annotated[SecretStr, Field(min_length=8, max_length=256)] | None = Field(
        None, description="What notices are signed with; made, and shown once, if left out."
    )
    kinds: list[ProblemKind] = Field(
        default_factory=list, max_length=len(ProblemKind), description="Only problems of these kinds; all if empty."
    )


class NodeRegistration(Body):
    """An agent announcing its node."""

    hostname: Hostname
    ipaddress: str = Field(max_length=45)
    machine_id: str = Field(min_length=1, max_length=128, description="Tells one machine from its clone.")
    runtime: str = Field(max_length=32)
    runtime_version: str = Field(max_length=64)
    architecture: str = Field(max_length=32)
    pool_driver: str = Field(max_length=32)
    agent_version: str = Field(max_length=64)
    labels: Labels = Field(default_factory=dict)
    cpu_millicores: int = Field(ge=0)
    memory_bytes: int = Field(ge=0)
    disk_bytes: int = Field(ge=0)
