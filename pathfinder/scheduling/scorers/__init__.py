"""Scorers: which of the possible nodes is best. One class per file, listed here."""

from collections.abc import Mapping
from typing import Protocol

from pathfinder.scheduling.fleet import Fleet, Scores
from pathfinder.scheduling.request import Ask
from pathfinder.scheduling.scorers.balance import Balance
from pathfinder.scheduling.scorers.few_containers import FewContainers
from pathfinder.scheduling.scorers.free_share import FreeShare
from pathfinder.scheduling.scorers.has_image import HasImage
from pathfinder.scheduling.scorers.idle_share import IdleShare
from pathfinder.scheduling.scorers.untainted import Untainted
from pathfinder.scheduling.scorers.used_share import UsedShare


class Scorer(Protocol):
    """A wish about nodes.

    A node's score may depend on that node and the request alone, never on other nodes: so after a placement only
    one row has to be scored again. Wishes about company are in `relations`.
    """

    name: str

    def score(self, fleet: Fleet, ask: Ask) -> Scores:
        """From 0 (worst) to 1 (best) for each node; shape (n,)."""


SCORERS: Mapping[str, Scorer] = {
    "few-containers": FewContainers(),
    "free-share": FreeShare(),
    "used-share": UsedShare(),
    "balance": Balance(),
    "idle-share": IdleShare(),
    "has-image": HasImage(),
    "untainted": Untainted(),
}
