"""Prefer nodes that the request would leave fullest."""

import numpy as np

from pathfinder.scheduling.fleet import CPU, MEMORY, Fleet, Scores, amounts
from pathfinder.scheduling.request import Ask


class UsedShare:
    """The mean share of cpu and memory claimed once the request is there."""

    name = "used-share"

    def score(self, fleet: Fleet, ask: Ask) -> Scores:
        """0 for an empty node, 1 for a full one; a node without any of a resource counts as full of it."""
        after = fleet.claimed + amounts(ask.resources)
        cpu, memory = (
            np.divide(after[:, one], fleet.room[:, one], out=np.ones(len(fleet)), where=fleet.room[:, one] > 0)
            for one in (CPU, MEMORY)
        )
        scores: Scores = (np.minimum(cpu, 1.0) + np.minimum(memory, 1.0)) / 2
        return scores
