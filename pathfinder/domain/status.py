"""What `GET /api/v3/status` answers: Pathfinder as a whole, at a glance."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field


class Overall(StrEnum):
    """How Pathfinder is. down: new containers cannot be run; degraded: something else is wrong."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


class RoleStatus(BaseModel):
    """A process of one role of the control plane, as it last said of itself."""

    role: str
    host: str
    pid: int
    version: str
    listen: str | None = Field(description="Where it answers /readyz and /metrics.")
    leader: bool
    state: str = Field(description="ready; unready: a part it needs is away; down: not heard for 15 s.")
    parts: dict[str, str] = Field(description="What it needs, and what each says: ok, or what is wrong.")
    started_at: datetime
    seen_at: datetime


class QueueStatus(BaseModel):
    """A queue: messages that wait in it, and who takes them."""

    name: str
    messages: int
    consumers: int


class NodeQueues(BaseModel):
    """The queues of all nodes together, and the five with the most messages."""

    queues: int
    messages: int
    worst: list[QueueStatus]


class BrokerStatus(BaseModel):
    """RabbitMQ, as this API sees it."""

    reachable: bool
    queues: list[QueueStatus]
    nodes: NodeQueues


class OutboxStatus(BaseModel):
    """Messages that wait to be published."""

    rows: int
    held: int = Field(0, description="Beside those: commands that wait for a node's full queue.")
    oldest_seconds: float = Field(description="Age of the oldest; 0 where none waits.")


class StandbyStatus(BaseModel):
    """A standby of PostgreSQL. What the database does not let us see is null."""

    name: str
    address: str | None
    state: str | None
    lag_bytes: int | None
    lag_seconds: float | None


class Finding(BaseModel):
    """Something that is wrong, and what to do about it."""

    kind: str
    severity: str = Field(description="critical, warning or info.")
    subject: str
    summary: str
    advice: str
    since: datetime | None = None


class SystemStatus(BaseModel):
    """Everything at a glance. What cannot be seen is left empty, and named in `findings`."""

    health: Overall
    version: str
    at: datetime
    findings: list[Finding] = Field(description="What is wrong, the worst first; open problems included.")
    roles: list[RoleStatus]
    broker: BrokerStatus
    outbox: OutboxStatus
    replication: list[StandbyStatus]
    nodes: dict[str, int] = Field(description="How many are ready, cordoned, aside or down, …")
    containers: dict[str, int] = Field(description="How many are in each status, DELETED left out.")
    waiting: int = Field(description="PENDING containers that no node can take now.")
    survivability: dict[str, Any] | None = Field(None, description="What would happen if a node died, where known.")
