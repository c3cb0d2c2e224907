"""Only nodes whose lease runs."""

from pathfinder.scheduling.fleet import Fleet, Mask
from pathfinder.scheduling.request import Ask


class Ready:
    """Rejects nodes that are DOWN."""

    name = "ready"
    lasting = True
    wakes = frozenset({"node.registered", "node.ready"})

    def mask(self, fleet: Fleet, ask: Ask) -> Mask:
        """Nodes that are READY."""
        return fleet.ready

    def reason(self, fleet: Fleet, ask: Ask, rejected: Mask) -> str:
        """A constant."""
        return "node is DOWN: its agent sends no heartbeats"
