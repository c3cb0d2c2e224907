"""What a cluster would survive, of the API."""

from pathfinder.client.nouns import Noun
from pathfinder.domain.views import Resilience


class Survival(Noun):
    """One cluster's resilience."""

    async def get(self) -> Resilience:
        """What the death of each node and zone would mean now."""
        return await self._connection.ask(Resilience, "GET", "/resilience", params=self._cluster)
