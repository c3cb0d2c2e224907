"""Prefer nodes on which the request leaves cpu and memory equally used."""

import numpy as np

from pathfinder.scheduling.fleet import CPU, MEMORY, Fleet, Scores, amounts
from pathfinder.scheduling.request import Ask


class Balance:
    """What is left of one resource when the other is used up is stranded: nobody can claim it."""

    name = "balance"

    def score(self, fleet: Fleet, ask: Ask) -> Scores:
        """1 where equal shares of cpu and memory are claimed once the request is there, 0 where they differ most."""
        after = fleet.claimed + amounts(ask.resources)
        shares = [
            np.divide(after[:, one], fleet.room[:, one], out=np.ones(len(fleet)), where=fleet.room[:, one] > 0)
            for one in (CPU, MEMORY)
        ]
        scores: Scores = 1.0 - np.minimum(np.abs(shares[0] - shares[1]), 1.0)
        return scores
