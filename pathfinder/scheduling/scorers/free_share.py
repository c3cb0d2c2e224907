"""Prefer nodes that the request would leave emptiest."""

from pathfinder.scheduling.fleet import Fleet, Scores
from pathfinder.scheduling.request import Ask
from pathfinder.scheduling.scorers.used_share import UsedShare


class FreeShare:
    """The opposite of `used-share`."""

    name = "free-share"

    def __init__(self) -> None:
        self._used = UsedShare()

    def score(self, fleet: Fleet, ask: Ask) -> Scores:
        """1 for an empty node, 0 for a full one."""
        scores: Scores = 1.0 - self._used.score(fleet, ask)
        return scores
