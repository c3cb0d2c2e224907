"""Provisions that failed: what is kept of each, and how many a container may have."""

from dataclasses import dataclass
from uuid import UUID

from pathfinder.domain.instances import Fault

#: How many failed provisions in a row end the tries, unless the container says otherwise; and the most it may say.
DEFAULT_ATTEMPTS = 5
MOST_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class Attempt:
    """A provision that failed: which placement of which container, on which node, whose fault it was, and why."""

    container_id: UUID
    generation: int
    node: str
    fault: Fault
    reason: str
