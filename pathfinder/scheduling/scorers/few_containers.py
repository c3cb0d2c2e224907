"""Prefer nodes with few containers."""

import numpy as np

from pathfinder.scheduling.fleet import Fleet, Scores
from pathfinder.scheduling.request import Ask


class FewContainers:
    """1 for an empty node, a half with one container, a third with two …"""

    name = "few-containers"

    def score(self, fleet: Fleet, ask: Ask) -> Scores:
        """1 / (1 + containers on the node)."""
        return 1.0 / (1.0 + fleet.containers.astype(np.float64))
