"""Only nodes with enough unclaimed CPU, memory and disk."""

import numpy as np

from pathfinder.domain.resources import format_bytes, format_cpu
from pathfinder.scheduling.fleet import CPU, DISK, MEMORY, Fleet, Mask, amounts
from pathfinder.scheduling.request import Ask


class Fits:
    """Rejects nodes on which any claimed resource would exceed the room for it."""

    name = "fits"
    lasting = False
    wakes = frozenset(
        {"node.registered", "node.updated", "container.deleted", "container.provision_failed", "container.departed"}
    )

    def mask(self, fleet: Fleet, ask: Ask) -> Mask:
        """Nodes whose unclaimed amounts hold the request; a resource that is not asked for is not looked at."""
        mask = np.ones(len(fleet), dtype=np.bool_)
        for column, wanted in enumerate(amounts(ask.resources)):
            if wanted:
                mask &= fleet.claimed[:, column] + wanted <= fleet.room[:, column]
        return mask

    def reason(self, fleet: Fleet, ask: Ask, rejected: Mask) -> str:
        """Which resources are short, and the most that any rejected node has free of them."""
        wanted = amounts(ask.resources)
        free = (fleet.room - fleet.claimed)[rejected]
        short = []
        for column, name, write in (
            (CPU, "cpu", format_cpu),
            (MEMORY, "memory", format_bytes),
            (DISK, "disk", format_bytes),
        ):
            most = int(max(0, free[:, column].max(initial=0)))
            if wanted[column] and np.any(free[:, column] < wanted[column]):
                short.append(f"{name} {write(int(wanted[column]))} wanted, at most {write(most)} free")
        return "; ".join(short)
