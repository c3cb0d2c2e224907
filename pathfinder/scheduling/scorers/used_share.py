"""Prefer nodes that the request would leave fullest."""

import numpy as np

from pathfinder.scheduling.fleet import CPU, MEMORY, Fleet, Scores, amounts
from pathfinder.scheduling.request import Request


class UsedShare:
    """The mean share of CPU and memory claimed once the request is there."""

    name = "used-share"

    def score(self, fleet: Fleet, request: Request) -> Scores:
        """0 for an empty node, 1 for a full one; a node without any of a resource counts as full of it."""
        columns = [CPU, MEMORY]
        capacity = fleet.capacity[:, columns]
        after = (fleet.claimed + amounts(request.resources))[:, columns]
        shares = np.divide(after, capacity, out=np.ones(after.shape), where=capacity > 0)
        scores: Scores = np.clip(shares, 0.0, 1.0).mean(axis=1)
        return scores
