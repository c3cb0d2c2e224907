"""What clients send: the request bodies of the HTTP API, checked field by field."""

from contextlib import suppress
from functools import cached_property
from typing import Annotated, Any

import orjson
from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from pathfinder.domain import names, rules
from pathfinder.domain.asking import MOST_PRIORITY
from pathfinder.domain.attempts import DEFAULT_ATTEMPTS, MOST_ATTEMPTS
from pathfinder.domain.bootstrapping import MOST_BOOTSTRAPPERS, Bootstrapper, File
from pathfinder.domain.checks import MOST_CHECKS, Check, RestartPolicy
from pathfinder.domain.fields import Body, Cpu, Disk, Hostname, Image, LabelKey, Labels, Memory
from pathfinder.domain.lifecycle import ContainerType
from pathfinder.domain.patches import Overcommit, Quota
from pathfinder.domain.policies import PolicyDocument
from pathfinder.domain.problems import ProblemKind
from pathfinder.domain.resources import Resources, format_bytes, format_cpu
from pathfinder.domain.webhooks import Format

MAX_BATCH = 1000
_RESERVED_FAMILIES = ("user.pathfinder.", "volatile.")
_RESERVED_CONFIG = ("limits.cpu", "limits.cpu.allowance", "limits.memory")

WebhookUrl = Annotated[str, Field(max_length=2048), AfterValidator(names.web_address)]


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
    limits: rules.Limits = Field(default_factory=rules.Limits, description="Where it may use more than it asks for.")
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

    architecture: rules.Architecture | None = Field(None, description="Only nodes like this: x86_64, aarch64.")
    constraints: list[rules.ConstraintText] = Field(
        default_factory=list,
        max_length=64,
        validate_default=True,
        description="Conditions on the node's labels and attributes: `zone in (a, b)`, `!legacy`, `node.lxd>=5.21`.",
    )
    pool: rules.PoolWish = Field(rules.DEFAULT_POOL, description="Pool of nodes; * for any.")
    tolerations: list[rules.TolerationText] = Field(
        default_factory=list, max_length=64, description="Taints it puts up with: `KEY`, `KEY=VALUE`, `*`."
    )
    affinity: list[rules.AffinityRule] = Field(default_factory=list, max_length=16)
    spread: list[rules.SpreadRule] = Field(default_factory=list, max_length=16)
    budget: rules.BudgetRule | None = None
    environment: dict[Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]{0,254}$")], str] = Field(
        default_factory=dict, max_length=256, description="Environment of everything that is run in it."
    )
    files: list[File] = Field(default_factory=list, max_length=64, description="Files written before its first start.")
    user_data: Annotated[str, Field(min_length=1)] | None = Field(None, description="cloud-init's user data.")
    checks: list[Check] = Field(default_factory=list, max_length=MOST_CHECKS, description="All must be well.")
    restart: RestartPolicy = Field(default_factory=RestartPolicy)
    bootstrappers: list[Bootstrapper] = Field(
        default_factory=list, max_length=MOST_BOOTSTRAPPERS, description="Carried out in order once it runs."
    )
    priority: int = Field(
        0, ge=-MOST_PRIORITY, le=MOST_PRIORITY, description="Higher goes first, and may displace if the policy says so."
    )
    policy: Annotated[str, Field(min_length=1, max_length=63)] | None = Field(
        None, description="Placement policy; the cluster's if left out."
    )

    @field_validator("type", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("config")
    @classmethod
    def _not_ours(cls, value: dict[str, str]) -> dict[str, str]:
        for key in value:
            if key in _RESERVED_CONFIG or key.startswith(_RESERVED_FAMILIES):
                raise ValueError(f"{key!r} is set by Pathfinder; use the fields cpu and memory for limits")
        return value

    @field_validator("limits")
    @classmethod
    def _not_below(cls, limits: rules.Limits, info: ValidationInfo) -> rules.Limits:
        for name, write in (("cpu", format_cpu), ("memory", format_bytes), ("disk", format_bytes)):
            limit, request = getattr(limits, name), info.data.get(name)
            if limit is not None and request is not None and limit < request:
                raise ValueError(f"the {name} limit {write(limit)} is below the {write(request)} that is asked for")
        return limits

    @field_validator("constraints")
    @classmethod
    def _possible(cls, constraints: list[str], info: ValidationInfo) -> list[str]:
        rules.selector(constraints, info.data.get("node_labels"), info.data.get("architecture"))
        return constraints

    @field_validator("affinity")
    @classmethod
    def _consistent(cls, affinity: list[rules.AffinityRule]) -> list[rules.AffinityRule]:
        rules.check_company(affinity)
        return affinity

    @field_validator("spread", "budget")
    @classmethod
    def _of_its_own(cls, value: Any, info: ValidationInfo) -> Any:
        for one in value if isinstance(value, list) else [value] if value else []:
            rules.check_member(one.of, info.data.get("labels", {}))
        return value

    @property
    def averse(self) -> bool:
        """Whether it keeps others away."""
        return any(one.required and one.rule is rules.Company.APART for one in self.affinity)

    def document(self) -> dict[str, Any]:
        """What was asked for as plain JSON: where it goes only as far as somebody said something about it."""
        return {"hostname": self.hostname, **self.shape}

    @cached_property
    def shape(self) -> dict[str, Any]:
        """The document without the hostname; shared by the equal containers of a batch, so not to be changed."""
        return {**_USUAL, **self.model_dump(mode="json", exclude_defaults=True, exclude={"hostname"})}

    @cached_property
    def resources(self) -> Resources:
        """What the container claims on its node; 0 where nothing was asked."""
        return Resources(self.cpu or 0, self.memory or 0, self.disk or 0)

    def named(self, hostname: str) -> "ContainerSpec":
        """An equal one of another name, as if it had been checked itself. ValueError for what is no hostname."""
        return self.model_copy(update={"hostname": names.hostname(hostname)})


#: What is always told of a container, whether somebody asked for it or not.
_USUAL = ContainerSpec(hostname="any").model_dump(
    mode="json",
    include={
        *("image", "type", "cpu", "memory", "disk", "labels", "node_labels"),
        *("profiles", "config", "devices", "max_attempts"),
    },
)


class ContainerBatch(Body):
    """Several containers, accepted whole or refused whole."""

    containers: list[ContainerSpec] = Field(min_length=1, max_length=MAX_BATCH)

    @field_validator("containers", mode="wrap")
    @classmethod
    def _equal_ones_once(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        """Containers that differ in their names only are checked once. Whatever is wrong is told as if each was."""
        with suppress(TypeError, ValueError, LookupError):
            keys = [orjson.dumps({**one, "hostname": None}) for one in value]
            first = dict(zip(reversed(keys), reversed(value), strict=True))
            if len(first) < len(value) <= MAX_BATCH:
                shapes = dict(zip(first, check(list(first.values())), strict=True))
                for spec in shapes.values():
                    spec.shape, spec.resources  # noqa: B018 - kept, for those that are made from it
                return [shapes[key].named(one["hostname"]) for key, one in zip(keys, value, strict=True)]
        return check(value)

    together: bool = Field(False, description="A gang: all of them are placed at once, or none.")

    @field_validator("together")
    @classmethod
    def _alike(cls, together: bool, info: ValidationInfo) -> bool:
        if together and len({one.policy for one in info.data.get("containers", ())}) > 1:
            raise ValueError("containers that are placed together need one policy")
        return together


Seed = Annotated[int, Field(ge=0, le=(1 << 32) - 1, description="What ties are broken by.")]
NodeNames = Annotated[list[Hostname], Field(max_length=MAX_BATCH)]


class CreatePlan(ContainerBatch):
    """Containers that might be asked for."""

    seed: Seed = 0
    document: PolicyDocument | None = Field(
        None, description="A policy, stored or not, that all of them are placed by, whatever they ask for."
    )
    explain: bool = Field(False, description="Tell the best nodes of each, and what filters rejected.")


class LosePlan(Body):
    """Nodes that might die, by name or as a zone."""

    nodes: NodeNames = Field(default_factory=list)
    zone: Annotated[str, Field(min_length=1, max_length=63)] | None = Field(
        None, description="All nodes whose zone label has this value, instead of nodes by name.", validate_default=True
    )
    seed: Seed = 0

    @field_validator("zone")
    @classmethod
    def _one_of_both(cls, zone: str | None, info: ValidationInfo) -> str | None:
        if (zone is None) == (not info.data.get("nodes")):
            raise ValueError("name either nodes, or a zone")
        return zone


class DrainPlan(Body):
    """Nodes that might be emptied."""

    nodes: NodeNames = Field(min_length=1)
    seed: Seed = 0


class ReplaySpec(Body):
    """A replay of what was recorded."""

    since: str = Field("24h", max_length=40, description="A moment (RFC 3339), or so long ago: 90m, 24h, 7d.")
    policies: list[Annotated[str, Field(min_length=1, max_length=63)]] = Field(
        default_factory=list, max_length=12, description="Names; the built-in ones if empty."
    )
    trials: int = Field(11, ge=1, le=50, description="How often nodes are taken away in another order.")
    seed: Seed = 0


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
    quota: Quota = Field(default_factory=Quota, description="null in a part: no limit.")
    overcommit: Overcommit = Field(default_factory=Overcommit, description="null in a part: as the policy says.")


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


class NodeCredential(Body):
    """A node's next credential, which the node alone knows."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="The SHA-256 of the credential, in hexadecimal digits.")


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
    capabilities: list[LabelKey] = Field(default_factory=list, max_length=1000)
