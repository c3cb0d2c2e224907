"""What a node says of how its containers are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pathfinder.domain.errors import MalformedMessage
from pathfinder.domain.lifecycle import Health


@dataclass(frozen=True, slots=True)
class Seen:
    """How a placement is, and why where it is UNHEALTHY. `restarts`: so many in a row by this agent; `settled`: it
    knows that those of before have helped.
    """

    container_id: UUID
    generation: int
    health: Health
    message: str | None = None
    restarts: int = 0
    settled: bool = False

    @classmethod
    def read(cls, item: Mapping[str, Any]) -> "Seen":
        """One entry of a report. Raises MalformedMessage."""
        try:
            message = item.get("message")
            return cls(
                UUID(item["container_id"]),
                int(item["generation"]),
                Health(item["health"]),
                None if message is None else str(message)[:1000],
                int(item["restarts"]),
                bool(item["settled"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise MalformedMessage(f"not the health of a container: {error}") from error
