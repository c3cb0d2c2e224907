"""The connection to PostgreSQL."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg
import orjson
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from pathfinder.domain.errors import Invalid, Unavailable

#: SQLSTATE classes that say "not now" rather than "wrong": connection trouble, shutdown, no resources, recovery, and
#: two transactions that waited for each other.
_PASSING = ("08", "57P", "53", "25006", "40")


class Database:
    """A pool of connections to one PostgreSQL; every method raises Unavailable when it does not answer."""

    #: What a broken connection of `listen_connection` raises.
    broken = (asyncpg.PostgresError, asyncpg.InterfaceError)

    def __init__(self, url: str, pool_size: int = 10) -> None:
        self._url = make_url(url)
        if self._url.drivername != "postgresql+asyncpg":
            raise Invalid("PATHFINDER_DATABASE_URL must start with postgresql+asyncpg://")
        self.engine: AsyncEngine = create_async_engine(
            self._url,
            pool_size=pool_size,
            max_overflow=0,
            # The connection used last has the statements prepared and its PostgreSQL process warm.
            pool_use_lifo=True,
            pool_timeout=10,
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            connect_args={"timeout": 5, "command_timeout": 30, "server_settings": {"application_name": "pathfinder"}},
        )
        self._reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end, rolled back if anything is raised."""
        with translated():
            async with self.engine.begin() as tx:
                yield tx

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading, each statement by itself: a third of the round trips of a transaction for one."""
        with translated():
            async with self._reading.connect() as connection:
                yield connection

    async def listen_connection(self) -> Any:
        """A connection of its own, outside the pool, for LISTEN: an `asyncpg.Connection`."""
        url = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        return await asyncpg.connect(url, timeout=5)

    @asynccontextmanager
    async def session(
        self, name: str, timeout_seconds: float, settings: Mapping[str, str]
    ) -> AsyncIterator[AsyncConnection]:
        """A connection of its own, outside the pool, for what lives with a session, as locks do.

        `name` is its `application_name`, `settings` are PostgreSQL's for this session. A statement that takes longer
        than `timeout_seconds` fails. Left, it is closed, within two seconds even if the server does not answer.
        """
        arguments = {
            "timeout": timeout_seconds,
            "command_timeout": timeout_seconds,
            "server_settings": {"application_name": name, **settings},
        }
        engine = create_async_engine(self._url, poolclass=NullPool, connect_args=arguments)
        with translated():
            connection = await engine.connect()
        try:
            yield connection
        finally:
            # Shielded: a session that is left open because its task was cancelled would keep its locks.
            await asyncio.shield(_end(connection))

    async def close(self) -> None:
        """Give back every connection."""
        await self.engine.dispose()


async def _end(connection: AsyncConnection) -> None:
    with contextlib.suppress(OSError, TimeoutError, DBAPIError, asyncpg.InterfaceError):
        await connection.invalidate()
        await connection.close()


@contextmanager
def translated() -> Iterator[None]:
    """What a broken database raises, as our own errors."""
    try:
        yield
    except (OSError, TimeoutError, InterfaceError, OperationalError, DBAPIError) as error:
        state = _sqlstate(error)
        if state.startswith("22"):  # data PostgreSQL cannot hold, like a NUL in a text
            raise Invalid(f"PostgreSQL cannot store a value of the request: {_words(error)}.") from error
        if state.startswith(_PASSING) or not state:
            raise Unavailable("PostgreSQL does not answer; the same request may work in a moment.") from error
        raise


def _sqlstate(error: BaseException) -> str:
    """The five-character code of an error of the server; empty where there was no answer at all."""
    return str(getattr(getattr(error, "orig", error), "sqlstate", None) or "")


def _words(error: BaseException) -> str:
    return str(getattr(error, "orig", error)).split(": ", 1)[-1].splitlines()[0]
