"""Only nodes with enough unclaimed CPU, memory and disk."""

import numpy as np

from pathfinder.domain.resources import format_bytes, format_cpu
from pathfinder.scheduling.fleet import CPU, DISK, MEMORY, Fleet, Mask, amounts
from pathfinder.scheduling.request import Request


class Fits:
    """Rejects nodes on which any claimed resource would exceed the capacity."""

    name = "fits"
    wakes = frozenset({"node.registered", "container.deleted", "container.provision_failed", "container.departed"})

    def mask(self, fleet: Fleet, request: Request) -> Mask:
        """Nodes whose unclaimed amounts hold the request; a resource that is not asked for is not looked at."""
        wanted = amounts(request.resources)
        mask: Mask = ((fleet.claimed + wanted <= fleet.capacity) | (wanted == 0)).all(axis=1)
        return mask

    def reason(self, fleet: Fleet, request: Request, rejected: Mask) -> str:
        """Which resources are short, and the most that any rejected node has free of them."""
        wanted = amounts(request.resources)
        free = (fleet.capacity - fleet.claimed)[rejected]
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
