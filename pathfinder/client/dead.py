"""Dead letters of the API."""

from collections.abc import AsyncGenerator

from pathfinder.client.connection import Params
from pathfinder.client.nouns import Noun
from pathfinder.domain.views import DeadLetter, DeadMessage, Dropped, Replayed


class Dead(Noun):
    """The messages nobody could process; they belong to queues, not to clusters."""

    def list(self, *, queue: str | None = None) -> AsyncGenerator[DeadLetter, None]:
        """Those of a queue, or all, newest first."""
        return self._pages(DeadLetter, "/dead", _of(queue) if queue else [])

    async def get(self, id_: int) -> DeadMessage:
        """One of them, whole."""
        return await self._connection.ask(DeadMessage, "GET", f"/dead/{id_}")

    async def replay(self, id_: int) -> Replayed:
        """Put one back to where it was published first. Not repeated on its own."""
        return await self._connection.ask(Replayed, "POST", f"/dead/{id_}/replay")

    async def replay_all(self, *, queue: str | None = None) -> Replayed:
        """Put those of a queue, or all, back. Not repeated on its own."""
        return await self._connection.ask(Replayed, "POST", "/dead/replay", params=_of(queue))

    async def drop(self, id_: int) -> Dropped:
        """Forget one for good."""
        return await self._connection.ask(Dropped, "DELETE", f"/dead/{id_}")

    async def drop_all(self, *, queue: str | None = None) -> Dropped:
        """Forget those of a queue, or all, for good."""
        return await self._connection.ask(Dropped, "DELETE", "/dead", params=_of(queue))


def _of(queue: str | None) -> Params:
    return [("all", "true")] if queue is None else [("queue", queue)]
