"""Filters: which nodes can take a request at all. One class per file, listed here; order is cheapest first."""

from collections.abc import Mapping
from typing import Protocol

from pathfinder.scheduling.filters.constraints import Constraints
from pathfinder.scheduling.filters.counts import Counts
from pathfinder.scheduling.filters.fits import Fits
from pathfinder.scheduling.filters.memory_in_use import MemoryInUse
from pathfinder.scheduling.filters.pool import Pool
from pathfinder.scheduling.filters.ready import Ready
from pathfinder.scheduling.filters.schedulable import Schedulable
from pathfinder.scheduling.filters.set_aside import SetAside
from pathfinder.scheduling.filters.taints import Taints
from pathfinder.scheduling.fleet import Fleet, Mask
from pathfinder.scheduling.request import Ask


class Filter(Protocol):
    """A rule a node must satisfy, whatever other nodes are like: rules about company are in `relations`."""

    name: str
    #: The kinds of event after which a rejected request is worth another try.
    wakes: frozenset[str]
    #: Whether its answer stays the same while containers are placed.
    lasting: bool

    def mask(self, fleet: Fleet, ask: Ask) -> Mask:
        """True for each node that may take the request; shape (n,)."""

    def reason(self, fleet: Fleet, ask: Ask, rejected: Mask) -> str:
        """Why the rejected nodes are rejected, with numbers, for the sentence `3 × REASON`."""


FILTERS: Mapping[str, Filter] = {
    "ready": Ready(),
    "schedulable": Schedulable(),
    "set-aside": SetAside(),
    "pool": Pool(),
    "constraints": Constraints(),
    "taints": Taints(),
    "counts": Counts(),
    "memory-in-use": MemoryInUse(),
    "fits": Fits(),
}
