"""What PostgreSQL knows, asked again and again; whoever of several servers takes writes is asked."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import asyncpg
from sqlalchemy import make_url

from pathfinder.domain.errors import Unavailable
from pathfinder.store.servers import BROKEN, Servers

POLL_SECONDS = 0.05
LIMIT_SECONDS = 180.0

Rows = list[asyncpg.Record]


async def connect(database_url: str) -> Any:
    """A connection of one's own to the only PostgreSQL of this URL."""
    url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    return await asyncpg.connect(url)


class Store:
    """Read-only eyes on the tables. A broken connection is made anew."""

    def __init__(self, database_url: str) -> None:
        url = make_url(database_url)
        self._options = url.get_dialect()().create_connect_args(url)[1]
        self._servers = Servers()
        self._connection: Any = None

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.terminate()

    async def rows(self, query: str, *arguments: Any) -> Rows:
        """The rows of a query. Raises what a broken connection raises, or Unavailable."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._servers.connect(**self._options)
        found: Rows = await asyncio.wait_for(self._connection.fetch(query, *arguments), 5)
        return found

    async def value(self, query: str, *arguments: Any) -> Any:
        """The only value of a query."""
        return (await self.rows(query, *arguments))[0][0]

    async def until(self, what: str, query: str, *arguments: Any, enough: Callable[[Rows], bool] = bool) -> Rows:
        """The rows of a query once they are `enough`; a database that is away counts as "not yet"."""
        last: Rows = []
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                while True:
                    with suppress(Unavailable, *BROKEN):
                        last = await self.rows(query, *arguments)
                        if enough(last):
                            return last
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise AssertionError(f"waited {LIMIT_SECONDS:.0f} s for {what}; last: {last}") from None
