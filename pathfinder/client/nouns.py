"""What the clients of all nouns share: a connection, a cluster, and lists read to their end."""

from collections.abc import AsyncGenerator
from typing import TypeVar

from pydantic import BaseModel

from pathfinder.client.connection import Connection, Params
from pathfinder.domain.views import Page

PAGE = 1000

Item = TypeVar("Item", bound=BaseModel)


class Noun:
    """Requests about one kind of thing, in one cluster."""

    def __init__(self, connection: Connection, cluster: str) -> None:
        self._connection = connection
        self._cluster: Params = [("cluster", cluster)]

    async def _pages(
        self, item: type[Item], path: str, params: Params, *, cursor: str | None = None
    ) -> AsyncGenerator[Item, None]:
        """Every item of a list, page after page."""
        page = Page[item]  # type: ignore[valid-type]  # a model made for the type at hand
        while True:
            at = [("cursor", cursor)] if cursor is not None else []
            answer = await self._connection.ask(page, "GET", path, params=[*params, ("limit", str(PAGE)), *at])
            for found in answer.items:
                yield found
            cursor = answer.next_cursor
            if cursor is None:
                return
