"""Only nodes whose memory is not nearly used up, whatever was claimed of it."""

from dataclasses import dataclass

from pathfinder.scheduling.fleet import Fleet, Mask
from pathfinder.scheduling.request import Ask


@dataclass(frozen=True)
class MemoryInUse:
    """Rejects nodes on which a greater share of the memory is in live use than `threshold`, where that is known."""

    name = "memory-in-use"
    lasting = False
    # Use falls without an event: the sweep looks again.
    wakes = frozenset({"node.registered", "container.departed", "container.deleted"})

    threshold: float = 1.0

    def mask(self, fleet: Fleet, ask: Ask) -> Mask:
        """Nodes that use at most the threshold."""
        mask: Mask = ~(fleet.memory_used > self.threshold)
        return mask

    def reason(self, fleet: Fleet, ask: Ask, rejected: Mask) -> str:
        """The threshold, and the least that a rejected node uses."""
        least = fleet.memory_used[rejected].min(initial=1.0)
        return f"node uses {least:.0%} of its memory or more, above the policy's {self.threshold:.0%}"
