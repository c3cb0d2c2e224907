"""Filters: which nodes can take a request at all. One class per file, listed here; order is cheapest first."""

from collections.abc import Mapping
from typing import Protocol

from pathfinder.scheduling.filters.fits import Fits
from pathfinder.scheduling.filters.labels import Labels
from pathfinder.scheduling.filters.ready import Ready
from pathfinder.scheduling.filters.schedulable import Schedulable
from pathfinder.scheduling.filters.set_aside import SetAside
from pathfinder.scheduling.fleet import Fleet, Mask
from pathfinder.scheduling.request import Request


class Filter(Protocol):
    """A rule a node must satisfy."""

    name: str
    #: The kinds of event after which a rejected request is worth another try.
    wakes: frozenset[str]

    def mask(self, fleet: Fleet, request: Request) -> Mask:
        """True for each node that may take the request; shape (n,)."""

    def reason(self, fleet: Fleet, request: Request, rejected: Mask) -> str:
        """Why the `rejected` nodes were, in words a person can act on."""


FILTERS: Mapping[str, Filter] = {
    "ready": Ready(),
    "schedulable": Schedulable(),
    "set-aside": SetAside(),
    "labels": Labels(),
    "fits": Fits(),
}
