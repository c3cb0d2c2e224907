"""Which of several PostgreSQL servers takes writes now, and connections to that one.

A connection is made to the server that took writes last. Where that fails, all are asked at once, so that one that
does not answer at all costs no more time than one that refuses. The writable one on the highest timeline wins: a
promotion begins a new timeline, which tells a former primary that comes back from the one in its place.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import structlog

from pathfinder import tls
from pathfinder.domain.errors import DatabaseAway

log = structlog.get_logger()

#: What a connection that cannot be made, or is broken, raises.
BROKEN = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

#: How long a server may take to accept a connection.
CONNECT_SECONDS = 4.0

#: The timeline a server writes now; after a promotion, its last checkpoint's is the former one for a while. NULL where
#: nothing may be written.
_TIMELINE = """
    SELECT CASE WHEN pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' THEN NULL
           ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint END
"""

Address = tuple[str | None, int | None]


class Servers:
    """The servers of one URL, and which of them took writes last."""

    def __init__(self) -> None:
        self._last: Address | None = None
        self._timeline = 0
        self._said: dict[Address, str] = {}

    async def connect(self, *, host: Any = None, port: Any = None, **options: Any) -> Any:
        """An `asyncpg.Connection` to the one that takes writes; arguments as of `asyncpg.connect`.

        Raises DatabaseAway where none does; the log has what each server said.
        """
        addresses = list(zip(_each(host), _each(port), strict=True))
        said: dict[Address, str] = {}
        if self._last in addresses and (found := await self._ask([self._last], options, said)):
            return found
        if len(addresses) > 1 or not said:
            said.clear()
            if found := await self._ask(addresses, options, said):
                return found
        if said != self._said:  # for the log, once; whoever asked is not to learn our addresses
            log.warning(
                "no PostgreSQL takes writes", servers={_name(*address): words for address, words in said.items()}
            )
            self._said = said
        raise DatabaseAway("PostgreSQL does not answer; the same request may work in a moment.")

    async def _ask(self, addresses: Sequence[Address], options: Mapping[str, Any], said: dict[Address, str]) -> Any:
        """A connection to the best of these, or None; `said` is told why one is none."""
        asked = {address: asyncio.ensure_future(_connect(*address, options)) for address in addresses}
        chosen = None
        try:
            await asyncio.wait(asked.values())
            found = {}
            for address, task in asked.items():
                if isinstance(error := task.exception(), BROKEN):
                    said[address] = str(tls.refusal(error) or error or "no answer")
                elif (timeline := task.result()[1]) is None:
                    said[address] = "a standby, or read-only"
                elif timeline < self._timeline:
                    said[address] = f"its timeline {timeline} was ended by a promotion: it must become a standby"
                else:
                    found[address] = timeline
            if found:
                best = max(found, key=lambda address: found[address])
                if self._last not in (None, best):
                    log.info("PostgreSQL takes writes", server=_name(*best), timeline=found[best])
                self._last, self._timeline, self._said = best, found[best], {}
                chosen = asked[best].result()[0]
            return chosen
        finally:
            for task in asked.values():
                task.add_done_callback(lambda task: _drop(task, chosen))
                task.cancel()


async def _connect(host: str | None, port: int | None, options: Mapping[str, Any]) -> tuple[Any, int | None]:
    """A connection and the timeline its server writes."""
    async with asyncio.timeout(CONNECT_SECONDS):
        connection = await asyncpg.connect(**options, host=host, port=port)
        try:
            return connection, await connection.fetchval(_TIMELINE)
        except BaseException:
            connection.terminate()
            raise


def _drop(task: "asyncio.Future[tuple[Any, int | None]]", chosen: Any) -> None:
    """Close the connection of a server that was not chosen."""
    if not task.cancelled() and task.exception() is None and (connection := task.result()[0]) is not chosen:
        connection.terminate()


def _each(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _name(host: str | None, port: int | None) -> str:
    return f"{host}:{port}"
