"""Rollouts: how far the present revision of a deployment has come, and what is to be done next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pathfinder.domain.lifecycle import Health, Status


class Phase(StrEnum):
    """How far a rollout is. One that is done stays so until another revision is wanted."""

    ROLLING = "rolling"
    CANARY = "canary"
    DONE = "done"
    FAILED = "failed"


class Change(StrEnum):
    """What it takes to make a replica what it shall be, the least first."""

    NONE = "none"
    #: Only what is kept of it changes: its node need not know.
    RECORD = "record"
    #: Its bootstrappers are carried out again.
    REBOOTSTRAP = "rebootstrap"
    #: Its node changes its limits, config or checks while it runs; and it is bootstrapped again if that differs, too.
    LIVE = "live"
    #: It is deleted, and made again under the same name.
    REBUILD = "rebuild"


@dataclass(frozen=True, slots=True)
class Replica:
    """What is looked at of a living replica. `change` is what it takes to make it one of the wanted revision.

    `well_since`: from when on it was fit to serve; None while it is not. `since`: when its status last changed.
    `waits`: why no node can take it; None where one has, or may.
    """

    id: UUID
    hostname: str
    number: int
    status: Status
    health: Health
    revision: int
    change: Change
    well_since: datetime | None
    since: datetime
    created_at: datetime
    node: str | None = None
    zone: str | None = None
    waits: str | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """How far the rollout of `revision` is: what a deployment keeps in `rollout`.

    `best` is the greatest number of its replicas that were ready, `progress_at` when that was reached; None while
    nobody waits for progress. `changed` are the numbers of the replicas that were changed while they ran, and when;
    `addresses` stands for those that the replicas had, which other deployments may read.
    """

    revision: int = 0
    phase: Phase = Phase.ROLLING
    began_at: datetime | None = None
    progress_at: datetime | None = None
    best: int = 0
    promoted: int | None = None
    why: str | None = None
    addresses: str | None = None
    changed: Mapping[int, datetime] = field(default_factory=dict)

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> "Rollout":
        """What `document` wrote, or somebody who only promoted."""
        moments = {
            name: datetime.fromisoformat(kept[name])
            for name in ("began_at", "progress_at")
            if kept.get(name) is not None
        }
        return cls(
            revision=kept.get("revision", 0),
            phase=Phase(kept.get("phase", Phase.ROLLING)),
            best=kept.get("best", 0),
            promoted=kept.get("promoted"),
            why=kept.get("why"),
            addresses=kept.get("addresses"),
            changed={int(number): datetime.fromisoformat(at) for number, at in kept.get("changed", {}).items()},
            **moments,
        )

    def document(self) -> dict[str, Any]:
        """As JSON; what says nothing is left out."""
        parts: dict[str, Any] = {
            "revision": self.revision,
            "phase": self.phase,
            "began_at": self.began_at and self.began_at.isoformat(),
            "progress_at": self.progress_at and self.progress_at.isoformat(),
            "best": self.best,
            "promoted": self.promoted,
            "why": self.why,
            "addresses": self.addresses,
            "changed": {str(number): at.isoformat() for number, at in sorted(self.changed.items())},
        }
        return {name: value for name, value in parts.items() if value not in (None, {})}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with a deployment now. Replicas are named by their ids, those to be made by their numbers,
    with the revisions they are to be of. `undo_to` is the revision to go back to. Nothing is left if it is `gone`.
    """

    rollout: Rollout
    stable: int | None
    delete: Mapping[UUID, str] = field(default_factory=dict)
    change: Mapping[UUID, Change] = field(default_factory=dict)
    create: Mapping[int, int] = field(default_factory=dict)
    undo_to: int | None = None
    gone: bool = False
    message: str | None = None
    wake_at: datetime | None = None
