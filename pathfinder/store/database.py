"""The connections to PostgreSQL, each to the server that takes writes, and none used that is dead."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Never
from weakref import WeakSet

import orjson
from sqlalchemy import URL, event, make_url, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from pathfinder import telemetry
from pathfinder.domain.errors import Contended, Invalid, TooSlow, Unavailable
from pathfinder.store import database_tls
from pathfinder.store.servers import BROKEN, Servers

#: A statement without an answer for so long is over, and so is its connection.
STATEMENT_SECONDS = 10.0

#: One that waits for others for so long gives way to them, which is told from one that is slow itself.
LOCK_SECONDS = 8.0

#: A connection that was idle this long is asked for a sign of life before it is used, or again and again while it
#: listens; and how long it may take to give one.
IDLE_SECONDS = 5.0
PING_SECONDS = 3.0

#: What PostgreSQL does with us: it ends the transaction of a process that hangs, and the connection of a machine that
#: is gone, for both may hold locks others wait for.
_SETTINGS = {
    "application_name": "pathfinder",
    "idle_in_transaction_session_timeout": "15s",
    "lock_timeout": f"{LOCK_SECONDS}s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15s",
    # Compiling a statement takes longer than any of ours.
    "jit": "off",
}

#: Where the words of an error of PostgreSQL go on with what it is about.
_DETAIL = "\nDETAIL:"

#: What SQLSTATE classes mean that say "not now" rather than "wrong".
_PASSING = {
    "40": "Others were changing the same things, and PostgreSQL undid this change for theirs",
    "55P03": "Others held for too long what this needs",
    "53": "PostgreSQL has no room for this",
    "25006": "This PostgreSQL takes no writes; the one that does is looked for",
    "25P": "The transaction took too long and PostgreSQL ended it",
    "57014": "The statement took too long",
    "57P": "PostgreSQL is being stopped or started",
    "08": "PostgreSQL does not answer",
}


class Database:
    """The PostgreSQL of a URL: one server, or a primary and its standbys.

    `ca_file` has the authorities that they are trusted by where the URL says `ssl=verify-full`, or `verify-ca`; without
    one, this system's are. Every method raises Unavailable when none of them takes writes.
    """

    def __init__(self, url: str, pool_size: int = 10, ca_file: Path | None = None) -> None:
        self._servers = Servers()
        parsed = _parsed(url)
        self._url = parsed.difference_update_query(database_tls.OPTIONS)
        self._ssl = database_tls.context(database_tls.mode(parsed), ca_file)
        self.engine = self._engine(
            pool_size=pool_size,
            max_overflow=0,
            # The connection used last has the statements prepared and its PostgreSQL process warm.
            pool_use_lifo=True,
            pool_timeout=10,
        )
        self._open: WeakSet[Any] = WeakSet()
        event.listen(self.engine.sync_engine, "connect", lambda _, record: self._open.add(record.driver_connection))
        event.listen(self.engine.sync_engine, "checkin", _note_use)
        event.listen(self.engine.sync_engine, "checkout", _check_if_idle)
        event.listen(self.engine.sync_engine, "connect", lambda *_: telemetry.DATABASE_CONNECTS.inc())
        self._reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._frozen = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end, rolled back if anything is raised."""
        with translated():
            async with self.engine.begin() as tx:
                yield tx

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """A transaction for reading that sees everything as it was at its first statement."""
        with translated():
            async with self._frozen.begin() as tx:
                yield tx

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading, each statement by itself: a third of the round trips of a transaction for one."""
        with translated():
            async with self._reading.connect() as connection:
                yield connection

    async def ping(self) -> None:
        """Raise Unavailable unless a transaction is to be had."""
        async with self.begin() as tx:
            await tx.execute(text("SELECT 1"))

    async def listen(self, channel: str, heard: Callable[[], None]) -> Never:
        """Call `heard` at each notice on `channel`, and once at the beginning for those nobody heard before.

        Raises Unavailable once the connection is broken, which a silent one is after `IDLE_SECONDS + PING_SECONDS`.
        """
        with translated():
            connection = await self._servers.connect(
                **self._arguments(), ssl=self._ssl, command_timeout=PING_SECONDS, server_settings=_SETTINGS
            )
            try:
                lost = asyncio.Event()
                connection.add_termination_listener(lambda _: lost.set())
                await connection.add_listener(channel, lambda *_: heard())
                heard()
                while True:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(IDLE_SECONDS):
                            await lost.wait()
                    await connection.execute("SELECT")
            finally:
                connection.terminate()

    @asynccontextmanager
    async def session(
        self, name: str, timeout_seconds: float, settings: Mapping[str, str]
    ) -> AsyncIterator[AsyncConnection]:
        """A connection of its own, outside the pool, for what lives with a session, as locks do.

        `name` is its `application_name`, `settings` are PostgreSQL's for this session. A statement that takes longer
        than `timeout_seconds` fails, whether it works or waits for others. Left, it is closed, within two seconds even
        if the server does not answer.
        """
        own = {"application_name": name, "lock_timeout": "0", **settings}
        engine = self._engine(own, timeout_seconds, poolclass=NullPool)
        with translated():
            connection = await engine.connect()
        try:
            yield connection
        finally:
            # Shielded: a session that is left open because its task was cancelled would keep its locks.
            await asyncio.shield(_end(connection))

    async def close(self) -> None:
        """Give back every connection; a server that does not answer is not waited for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PING_SECONDS):
                await self.engine.dispose()
        for connection in list(self._open):
            connection.terminate()

    def _engine(
        self, settings: Mapping[str, str] | None = None, timeout_seconds: float = STATEMENT_SECONDS, **pool: Any
    ) -> AsyncEngine:
        arguments = {
            "async_creator_fn": self._servers.connect,
            "ssl": self._ssl,
            "command_timeout": timeout_seconds,
            "server_settings": _SETTINGS | dict(settings or {}),
        }
        engine = create_async_engine(
            self._url,
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            connect_args=arguments,
            # They hold secrets, and what a statement fails with is logged.
            hide_parameters=True,
            **pool,
        )
        event.listen(engine.sync_engine, "handle_error", _forget_if_dead)
        event.listen(engine.sync_engine, "handle_error", _forget_the_row)
        return engine

    def _arguments(self) -> dict[str, Any]:
        """The URL as arguments of `asyncpg.connect`; several servers are sequences of hosts and ports."""
        return dict(self.engine.dialect.create_connect_args(self._url)[1])


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql+asyncpg":
            parsed.get_dialect()().create_connect_args(parsed)
            database_tls.mode(parsed)
            return parsed
        words = "it must start with postgresql+asyncpg://"
    except (ArgumentError, ValueError) as error:
        words = str(error)
    raise Invalid(f"PATHFINDER_DATABASE_URL is not usable: {words}.")


async def _end(connection: AsyncConnection) -> None:
    with contextlib.suppress(*BROKEN, DBAPIError):
        await connection.invalidate()
        await connection.close()


def _note_use(_: Any, record: ConnectionPoolEntry) -> None:
    record.info["used"] = time.monotonic()


def _check_if_idle(adapted: Any, record: ConnectionPoolEntry, _: Any) -> None:
    """Before a connection is used: a dead one takes all others with it, and new ones are made."""
    driver: Any = record.driver_connection
    now = time.monotonic()
    if driver.is_closed():
        raise InvalidatePoolError("closed")
    if now - record.info.get("used", now) > IDLE_SECONDS:
        try:
            adapted.run_async(lambda connection: connection.execute("SELECT", timeout=PING_SECONDS))
        except BROKEN as error:
            raise InvalidatePoolError(str(error)) from error


def _forget_if_dead(context: ExceptionContext) -> None:
    """No answer, or one that says that writes go elsewhere now: not only this connection is of no use any more."""
    error = context.original_exception
    if isinstance(error, TimeoutError) or _sqlstate(error).startswith("25006"):
        context.is_disconnect = True


def _forget_the_row(context: ExceptionContext) -> None:
    """PostgreSQL shows the whole row that it refuses, secrets and all; errors are logged."""
    told = context.original_exception
    for error in (told, told.__cause__, context.sqlalchemy_exception):
        if error is not None and error.args:
            error.args = (str(error.args[0]).split(_DETAIL)[0], *error.args[1:])
            if hasattr(error, "detail"):
                error.detail = None


@contextmanager
def translated() -> Iterator[None]:
    """What a broken database raises, as our own errors."""
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable("Every connection to PostgreSQL is in use; the same request may work in a moment.") from error
    except (*BROKEN, DBAPIError) as error:
        state = _sqlstate(error)
        if state.startswith("22"):  # data PostgreSQL cannot hold, like a NUL in a text
            raise Invalid(f"PostgreSQL cannot store a value of the request: {_words(error)}.") from error
        words = next((words for prefix, words in _PASSING.items() if (state or "08").startswith(prefix)), None)
        if words is None:
            raise
        telemetry.DATABASE_FAILED.inc()
        # A connection that cannot be made is Unavailable already, so what timed out here is a statement.
        slow = state == "57014" or (isinstance(error, TimeoutError) and error.errno is None)
        contended = state.startswith("40") or state == "55P03"
        kind = TooSlow if slow else Contended if contended else Unavailable
        raise kind(f"{words}; the same request may work in a moment.") from error


def _sqlstate(error: BaseException) -> str:
    """The five-character code of an error of the server; empty where there was no answer at all."""
    return str(getattr(getattr(error, "orig", error), "sqlstate", None) or "")


def _words(error: BaseException) -> str:
    return str(getattr(error, "orig", error)).split(": ", 1)[-1].splitlines()[0]
