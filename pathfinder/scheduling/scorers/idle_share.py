"""Prefer nodes that are least busy now, whatever was claimed of them."""

import numpy as np

from pathfinder.scheduling.fleet import Fleet, Scores
from pathfinder.scheduling.request import Ask


class IdleShare:
    """The mean share of cpu and memory that nobody uses; a node that has not said counts as half busy."""

    name = "idle-share"

    def score(self, fleet: Fleet, ask: Ask) -> Scores:
        """1 for an idle node, 0 for one that is used up."""
        used = [np.clip(np.nan_to_num(column, nan=0.5), 0.0, 1.0) for column in (fleet.cpu_used, fleet.memory_used)]
        scores: Scores = 1.0 - (used[0] + used[1]) / 2
        return scores
