"""Webhooks: who is told of problems, in which form, and what one notice says."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Format(StrEnum):
    """What a webhook's receiver understands."""

    JSON = "json"
    SLACK = "slack"
    ALERTMANAGER = "alertmanager"


class State(StrEnum):
    """What a notice says of a problem: it is there, it is over; or nothing, it only tests the way."""

    FIRING = "firing"
    RESOLVED = "resolved"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Notice:
    """What a webhook is told. `id` is the same each time the same notice is sent: receivers drop doubles by it."""

    id: UUID
    state: State
    problem_id: UUID
    key: str
    kind: str
    severity: str
    cluster: str | None
    subject: str
    summary: str
    advice: str
    opened_at: datetime
    closed_at: datetime | None
