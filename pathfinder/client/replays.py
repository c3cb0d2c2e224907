"""Replays of the API."""

from collections.abc import Sequence

from pathfinder.client.nouns import Noun
from pathfinder.domain.views import Replay

#: How long a replay may take: a little longer than the server lets it.
SECONDS = 300.0


class Replays(Noun):
    """What one cluster was asked for, run through policies."""

    async def create(
        self, since: str = "24h", policies: Sequence[str] = (), *, trials: int | None = None, seed: int = 0
    ) -> Replay:
        """What would have been under each of these policies; the built-in ones if none is named."""
        body = {"since": since, "policies": list(policies), "seed": seed}
        return await self._connection.ask(
            Replay,
            "POST",
            "/replays",
            params=self._cluster,
            body=body if trials is None else {**body, "trials": trials},
            repeatable=True,
            seconds=SECONDS,
        )
