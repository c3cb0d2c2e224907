"""A container as decisions see it: its row, while it is locked."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

import orjson

from pathfinder.domain import lifecycle
from pathfinder.domain.attempts import DEFAULT_ATTEMPTS
from pathfinder.domain.lifecycle import CLAIMING, ContainerType, Status
from pathfinder.domain.resources import Resources
from pathfinder.domain.rules import Limits

#: What a node changes while an instance runs, besides some of `config`.
LIVE = frozenset({"limits", "checks", "restart"})

#: Fields of an order that came after the first version.
_LATER = ("environment", "files", "user_data", "checks", "restart")


# Not frozen, which would make each five times as dear: they are made by the million. Nobody changes one.
@dataclass(slots=True)
class Container:
    """A container and its present placement. `node` is the hostname of `node_id`.

    `attempts` counts the provisions in a row that failed; it is not placed before `retry_at`. `takeover` is set by an
    operator who wants a LOST container elsewhere although its disk is on the lost node, `decided` by a scheduler on
    what it decided just now. While it is `waiting` for room, `wakes` are the kinds of event after which there may be
    some. No `policy`: its cluster's. Containers of one `gang` are placed all at once or not at all. A replica has a
    `deployment_id`, and is of that `revision` of its template. `bootstrapped` tells which bootstrappers were carried
    out on which placement (see `controllers/bootstrapping.py`).
    """

    id: UUID
    cluster_id: UUID
    hostname: str
    image: str
    type: ContainerType
    status: Status
    generation: int
    node_id: UUID | None
    node: str | None
    ipaddress: str | None
    resources: Resources
    spec: dict[str, Any]
    waiting: bool
    message: str | None
    decision_id: UUID | None
    trace_id: str
    status_at: datetime
    attempts: int = 0
    retry_at: datetime | None = None
    takeover: bool = False
    priority: int = 0
    policy: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    gang: UUID | None = None
    deployment_id: UUID | None = None
    revision: int = 0
    bootstrapped: str | None = None
    decided: bool = False
    wakes: frozenset[str] = frozenset()

    @property
    def claims(self) -> bool:
        """Whether its placement's claim on the node stands."""
        return self.node_id is not None and self.status in CLAIMING

    @property
    def stateful(self) -> bool:
        """Whether its disk is worth keeping."""
        return self.type == ContainerType.STATEFUL

    @property
    def max_attempts(self) -> int:
        """How many failed provisions in a row end the tries."""
        return int(self.spec.get("max_attempts", DEFAULT_ATTEMPTS))

    @property
    def limits(self) -> Resources:
        """The most its instance may use; 0 where there is no limit."""
        return Limits.kept(self.spec).over(self.resources) if "limits" in self.spec else self.resources

    @property
    def digest(self) -> str:
        """Differs wherever what a node changes while an instance runs does. 16 hexadecimal digits."""
        live = [self.spec.get(name) for name in ("config", *sorted(LIVE))]
        return blake2b(orjson.dumps(live, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()

    @property
    def order(self) -> dict[str, Any]:
        """What its node is told to make: the fields of an `InstanceOrder`. Those that agents of former versions do not
        know, and would refuse, are there only if somebody asked for it.
        """
        return {
            "hostname": self.hostname,
            "container_id": str(self.id),
            "generation": self.generation,
            "cluster_id": str(self.cluster_id),
            "image": self.image,
            "type": self.type,
            "resources": self.limits,
            "profiles": tuple(self.spec["profiles"]),
            "config": self.spec["config"],
            "devices": self.spec["devices"],
            **{name: self.spec[name] for name in _LATER if name in self.spec},
            **({"digest": self.digest} if self.deployment_id is not None else {}),
        }

    def to(self, status: Status, **changes: Any) -> "Container":
        """This container in another status; IllegalTransition if it may not go there."""
        lifecycle.require(self.hostname, self.status, status)
        return replace(self, status=status, **changes)
