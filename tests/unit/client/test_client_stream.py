"""The event stream: exactly once and in order, whatever happens to its connections."""

from collections.abc import Iterator
from contextlib import aclosing

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire import Handler, client, event, problem, sse, stream

from pathfinder.client import ApiError, EventSelection, UnexpectedAnswer, Unreachable
from pathfinder.client.backoff import Backoff
from pathfinder.client.stream import REMEMBERED, Seen

AT_ONCE = Backoff(first=0, most=0)


class Log:
    """A server with a log of events: it resumes after `Last-Event-ID`, and cuts each connection where told."""

    def __init__(self, length: int, cuts: Iterator[int], piece: int = 4096) -> None:
        self._events = [event(seq) for seq in range(1, length + 1)]
        self._cuts, self._piece = cuts, piece
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Send what comes after the cursor, as far as the next cut in bytes."""
        self.requests.append(request)
        rest = sse(*self._events[int(request.headers.get("Last-Event-ID", "0")) :])
        sent = rest[: next(self._cuts, len(rest))]
        return stream(*(sent[at : at + self._piece] for at in range(0, len(sent), self._piece)))


async def first(count: int, handler: Handler, selection: EventSelection | None = None) -> list[int]:
    """The first `count` events of a stream, by seq."""
    found: list[int] = []
    async with client(handler) as api, aclosing(api.events.follow(selection, cursor="0", backoff=AT_ONCE)) as events:
        async for it in events:
            found.append(it.seq)
            if len(found) == count:
                break
    return found


@given(
    length=st.integers(1, 12),
    cuts=st.lists(st.integers(0, 2000), max_size=8),
    piece=st.integers(1, 700),
)
async def test_every_event_arrives_once_wherever_connections_break(length: int, cuts: list[int], piece: int) -> None:
    """Cut in the middle of a line or between events, in pieces of any size: none is lost, doubled or moved."""
    log = Log(length, iter(cuts), piece)

    assert await first(length, log) == list(range(1, length + 1))


async def test_a_server_that_repeats_itself_is_not_believed() -> None:
    """The second line of defence: an event known by its seq is not yielded again."""
    answers = iter([stream(sse(event(1), event(2))), stream(sse(event(2), event(1), event(3)))])

    assert await first(3, lambda _: next(answers)) == [1, 2, 3]


async def test_a_smaller_seq_after_a_larger_one_is_an_event_like_any_other() -> None:
    """Sequence order is not commit order."""
    assert await first(2, lambda _: stream(sse(event(8), event(7)))) == [8, 7]


async def test_a_stream_from_now_resumes_from_its_own_beginning() -> None:
    """Lost before its first event, it asks for what happened since it began, by the server's clock."""
    answers = iter([stream(date="Mon, 23 Nov 2026 20:30:05 GMT"), stream(sse(event(1)))])
    requests: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return next(answers)

    async with client(handle) as api, aclosing(api.events.follow(backoff=AT_ONCE)) as events:
        assert (await anext(events)).seq == 1

    assert [request.url.params.get("since") for request in requests] == [None, "2026-11-23T20:30:05Z"]


async def test_a_cursor_takes_the_place_of_since() -> None:
    """Asking again for the last ten minutes would begin later than the first time, and skip."""
    answers = iter([stream(sse(event(1))), stream(sse(event(2)))])
    requests: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return next(answers)

    following = EventSelection(since="10m")
    async with client(handle) as api, aclosing(api.events.follow(following, backoff=AT_ONCE)) as events:
        assert [(await anext(events)).seq, (await anext(events)).seq] == [1, 2]

    first_request, second_request = requests
    assert first_request.url.params["since"] == "10m"
    assert "since" not in second_request.url.params
    assert second_request.headers["Last-Event-ID"] == "1"


async def test_an_identifier_without_an_event_moves_the_cursor() -> None:
    """A server may say where the stream stands before anything happens."""
    answers = iter([stream(b"id: 41\n\n"), stream(sse(event(42)))])
    requests: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return next(answers)

    async with client(handle) as api, aclosing(api.events.follow(backoff=AT_ONCE)) as events:
        assert (await anext(events)).seq == 42

    assert requests[1].headers["Last-Event-ID"] == "41"


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.words: list[str] = []

    async def connected(self) -> None:
        """Note it."""
        self.words.append("connected")

    async def lost(self, reason: str) -> None:
        """Note it."""
        self.words.append(reason)


async def test_a_listener_hears_of_every_connection() -> None:
    """What `pfi` tells its user when the server restarts."""
    refused = [httpx2.ConnectError("refused")] * 4
    answers = iter([stream(sse(event(1))), *refused, stream(sse(event(2)), breaks=False), stream(sse(event(3)))])
    heard = Heard()

    def handle(_: httpx2.Request) -> httpx2.Response:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with (
        client(handle) as api,
        aclosing(api.events.follow(cursor="0", listener=heard, backoff=AT_ONCE)) as events,
    ):
        assert [(await anext(events)).seq for _ in range(3)] == [1, 2, 3]

    closed = "the server closed the stream"
    assert heard.words == ["connected", "connection reset", "refused", "connected", closed, "connected"]


async def test_a_first_connection_that_fails_is_an_error() -> None:
    """Nobody waits for a server whose address was mistyped."""

    def handle(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    with pytest.raises(Unreachable):
        await first(1, handle)


async def test_a_revoked_token_ends_the_stream() -> None:
    """What will not get better is not tried for ever."""
    answers = iter([stream(sse(event(1))), problem(401, "Who are you?")])

    with pytest.raises(ApiError, match="Who are you"):
        await first(2, lambda _: next(answers))


async def test_what_is_no_event_stream_is_not_followed() -> None:
    """A web page is not an endless stream without events."""
    with pytest.raises(UnexpectedAnswer):
        await first(1, lambda _: httpx2.Response(200, html="<p>hello"))


def test_only_so_many_events_are_remembered() -> None:
    """A tail that runs for months does not grow."""
    seen = Seen()
    for seq in range(REMEMBERED + 5):
        assert seen.add(seq)

    assert not seen.add(REMEMBERED + 4)
    assert seen.add(0)


def test_pauses_grow_to_a_limit_and_begin_small_again() -> None:
    """Patient while the server is away, quick once it is back."""
    backoff = Backoff(first=1, most=4)
    pauses = [backoff.next() for _ in range(5)]
    backoff.reset()

    assert all(ceiling / 4 <= pause <= ceiling for pause, ceiling in zip(pauses, [1, 2, 4, 4, 4], strict=True))
    assert backoff.next() <= 1
