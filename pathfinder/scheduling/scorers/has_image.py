"""Prefer nodes that have the image already."""

from pathfinder.scheduling.fleet import Fleet, Scores
from pathfinder.scheduling.request import Ask


class HasImage:
    """A node that must fetch the image first starts the container later."""

    name = "has-image"

    def score(self, fleet: Fleet, ask: Ask) -> Scores:
        """1 for a node with the image, 0 for one without."""
        scores: Scores = fleet.names.kept(("image", ask.image), float, lambda node: ask.image in node.images)[fleet.row]
        return scores
