"""Only nodes that are not set aside for failing again and again."""

from pathfinder.scheduling.fleet import Fleet, Mask
from pathfinder.scheduling.request import Ask


class SetAside:
    """Rejects nodes that are set aside, and half-open ones while they are probed with another container."""

    name = "set-aside"
    lasting = False
    wakes = frozenset({"node.registered", "node.restored"})

    def mask(self, fleet: Fleet, ask: Ask) -> Mask:
        """Nodes that may take another container now."""
        mask: Mask = fleet.slots > 0
        return mask

    def reason(self, fleet: Fleet, ask: Ask, rejected: Mask) -> str:
        """With what failed there last."""
        failed = sorted({str(reason).rstrip(".") for reason in fleet.aside[rejected] if reason})
        why = f" ({'; '.join(failed[:2])})" if failed else ""
        return f"node is set aside after failed provisions{why}; `pfi uncordon node NAME` opens it"
