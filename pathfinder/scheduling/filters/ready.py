"""Only nodes whose lease runs."""

from pathfinder.scheduling.fleet import Fleet, Mask
from pathfinder.scheduling.request import Request


class Ready:
    """Rejects nodes that are DOWN."""

    name = "ready"
    wakes = frozenset({"node.registered", "node.ready"})

    def mask(self, fleet: Fleet, request: Request) -> Mask:
        """Nodes that are READY."""
        return fleet.ready

    def reason(self, fleet: Fleet, request: Request, rejected: Mask) -> str:
        """A constant."""
        return "node is DOWN: its agent sends no heartbeats"
