"""Only nodes that may have another container."""

import numpy as np

from pathfinder.scheduling.fleet import Fleet, Mask
from pathfinder.scheduling.request import Ask


class Counts:
    """Rejects nodes that have as many containers, or stateful ones, as they may."""

    name = "counts"
    lasting = False
    wakes = frozenset(
        {"node.registered", "node.updated", "container.deleted", "container.provision_failed", "container.departed"}
    )

    def mask(self, fleet: Fleet, ask: Ask) -> Mask:
        """Nodes below their limits."""
        mask: Mask = fleet.containers < fleet.max_containers
        if ask.stateful:
            mask &= fleet.stateful < fleet.max_stateful
        return mask

    def reason(self, fleet: Fleet, ask: Ask, rejected: Mask) -> str:
        """Which limit, and the greatest there is among the rejected."""
        full = rejected & (fleet.containers >= fleet.max_containers)
        if full.any():
            return f"node has as many containers as it may ({_most(fleet.max_containers[full])})"
        return f"node has as many stateful containers as it may ({_most(fleet.max_stateful[rejected])})"


def _most(limits: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]") -> str:
    return f"at most {int(limits.max())}"
