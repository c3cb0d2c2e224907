"""What is wrong, of the API."""

from collections.abc import AsyncGenerator

from pathfinder.client.nouns import Noun
from pathfinder.domain.views import KnownProblem


class Problems(Noun):
    """Problems of all clusters, and of the whole."""

    def list(self, *, every: bool = False) -> AsyncGenerator[KnownProblem, None]:
        """Those there are, newest first; `every`: those that are over, too."""
        return self._pages(KnownProblem, "/problems", [("all", "true")] if every else [])
