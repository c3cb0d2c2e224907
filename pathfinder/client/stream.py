"""The live event stream: it outlives its connections and yields every event exactly once.

Each event carries the cursor that resumes right after it, so a new connection continues where the last one ended.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Protocol

import httpx2
from pydantic import ValidationError

from pathfinder.client.backoff import Backoff
from pathfinder.client.connection import Connection, Params
from pathfinder.client.errors import ApiError, UnexpectedAnswer, Unreachable
from pathfinder.domain.views import Event

PATH = "/events/stream"
#: A reconnect can repeat only what was in flight; this is far more.
REMEMBERED = 10_000


class Listener(Protocol):
    """Hears of the connection under a stream, between events; the stream waits for it."""

    async def connected(self) -> None:
        """The stream is open: what happens from here on arrives, after this returns."""

    async def lost(self, reason: str) -> None:
        """The connection ended; another one is being made."""


class Silent:
    """A listener that does not care."""

    async def connected(self) -> None:
        """Ignore it."""

    async def lost(self, reason: str) -> None:
        """Ignore it."""


class Position:
    """Where a stream stands: what to ask for, so that the next event is the next one."""

    def __init__(self, filters: Params, cursor: str | None) -> None:
        self._filters = list(filters)
        self.cursor = cursor

    @property
    def params(self) -> Params:
        """Query parameters; `since` only counts until there is a cursor."""
        return [(key, value) for key, value in self._filters if key != "since" or self.cursor is None]

    @property
    def headers(self) -> dict[str, str]:
        """Headers, with the cursor where there is one."""
        return {"Accept": "text/event-stream"} | ({"Last-Event-ID": self.cursor} if self.cursor else {})

    def begin(self, response: httpx2.Response) -> None:
        """Note when a stream of "what comes from now on" began, by the server's clock.

        Were its first connection lost before the first event, "now" would be later on the next one, and what happened
        in between would be missed.
        """
        if self.cursor is None and not any(key == "since" for key, _ in self._filters):
            began = response.headers.get("date")
            if began:
                self._filters.append(("since", _rfc3339(began)))


class Seen:
    """The events already yielded, by `seq`: a second line of defence, should a server send one twice."""

    def __init__(self) -> None:
        self._order: deque[int] = deque()
        self._known: set[int] = set()

    def add(self, seq: int) -> bool:
        """Whether `seq` is new; it is known from now on. Not `seq > last`: sequence order is not commit order."""
        if seq in self._known:
            return False
        self._known.add(seq)
        self._order.append(seq)
        if len(self._order) > REMEMBERED:
            self._known.discard(self._order.popleft())
        return True


async def follow(
    connection: Connection,
    filters: Params,
    *,
    cursor: str | None = None,
    listener: Listener | None = None,
    backoff: Backoff | None = None,
) -> AsyncGenerator[Event, None]:
    """Events as they happen, without end, each exactly once and in the server's order.

    Starts after `cursor`, else at the filter `since`, else now. Raises `Unreachable` only if the first connection
    fails, and `ApiError` when the server refuses (a revoked token, a filter it does not know).
    """
    listener, backoff = listener or Silent(), backoff or Backoff()
    position, seen, opened = Position(filters, cursor), Seen(), False
    while True:
        try:
            async with connection.stream(PATH, params=position.params, headers=position.headers) as response:
                opened = True
                position.begin(response)
                await listener.connected()
                async for sse in httpx2.EventSource(response, max_event_size=None):
                    backoff.reset()
                    position.cursor = sse.id or position.cursor
                    if sse.data and seen.add((event := _event(connection, sse.data)).seq):
                        yield event
            reason = "the server closed the stream"
        except (Unreachable, ApiError) as exc:
            if not opened or (isinstance(exc, ApiError) and exc.status != httpx2.codes.SERVICE_UNAVAILABLE):
                raise
            reason = exc.reason if isinstance(exc, Unreachable) else str(exc)
        await listener.lost(reason)
        await asyncio.sleep(backoff.next())


def _event(connection: Connection, data: str) -> Event:
    try:
        return Event.model_validate_json(data)
    except ValidationError as exc:
        raise UnexpectedAnswer(connection.server, "its event stream holds something that is no event") from exc


def _rfc3339(date: str) -> str:
    from email.utils import parsedate_to_datetime  # needed once per stream at most

    return parsedate_to_datetime(date).isoformat().replace("+00:00", "Z")
