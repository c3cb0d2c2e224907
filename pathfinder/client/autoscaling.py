"""How deployments are scaled, of the API."""

from pathfinder.client.connection import segment
from pathfinder.client.nouns import Noun
from pathfinder.domain.autoscaling_views import AutoscalingState, Recommendation


class Scaling(Noun):
    """How the deployments of one cluster are scaled by themselves."""

    async def get(self, deployment: str, *, limit: int = 20) -> AutoscalingState:
        """How a deployment is scaled, and the latest decisions, at most `limit`."""
        params = [*self._cluster, ("limit", str(limit))]
        return await self._connection.ask(
            AutoscalingState, "GET", f"/deployments/{segment(deployment)}/autoscaling", params=params
        )

    async def recommend(self, deployment: str, *, days: float = 7) -> Recommendation:
        """How large its replicas should be, by what was used in the last days."""
        params = [*self._cluster, ("days", f"{days:g}")]
        return await self._connection.ask(
            Recommendation, "GET", f"/deployments/{segment(deployment)}/recommendation", params=params
        )
