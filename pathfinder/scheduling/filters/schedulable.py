"""Only nodes that are not cordoned."""

from pathfinder.scheduling.fleet import Fleet, Mask
from pathfinder.scheduling.request import Ask


class Schedulable:
    """Rejects cordoned nodes."""

    name = "schedulable"
    lasting = True
    wakes = frozenset({"node.registered", "node.uncordoned"})

    def mask(self, fleet: Fleet, ask: Ask) -> Mask:
        """Nodes that accept placements."""
        return fleet.schedulable

    def reason(self, fleet: Fleet, ask: Ask, rejected: Mask) -> str:
        """A constant."""
        return "node is cordoned (`pfi uncordon node NAME` opens it)"
