"""Only nodes that are not cordoned."""

from pathfinder.scheduling.fleet import Fleet, Mask
from pathfinder.scheduling.request import Request


class Schedulable:
    """Rejects cordoned nodes."""

    name = "schedulable"
    wakes = frozenset({"node.registered", "node.uncordoned"})

    def mask(self, fleet: Fleet, request: Request) -> Mask:
        """Nodes that accept placements."""
        return fleet.schedulable

    def reason(self, fleet: Fleet, request: Request, rejected: Mask) -> str:
        """A constant."""
        return "node is cordoned (`pfi uncordon node NAME` opens it)"
