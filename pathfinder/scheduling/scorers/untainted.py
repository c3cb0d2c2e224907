"""Prefer nodes without a PreferNoSchedule taint."""

from pathfinder.domain.asking import Effect
from pathfinder.scheduling.filters.taints import untolerated
from pathfinder.scheduling.fleet import Fleet, Scores
from pathfinder.scheduling.request import Ask


class Untainted:
    """The soft kind of taint."""

    name = "untainted"

    def score(self, fleet: Fleet, ask: Ask) -> Scores:
        """1 without one that is not tolerated, a half with one, a third with two …"""
        soft = Effect.PREFER_NO_SCHEDULE
        kept = fleet.names.kept(("taints", soft, ask.tolerations), int, lambda node: len(untolerated(node, ask, soft)))
        scores: Scores = 1.0 / (1.0 + kept[fleet.row])
        return scores
