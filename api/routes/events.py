"""Events: a list with a cursor, and a stream that resumes."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Query
from fastapi.responses import StreamingResponse

from api.auth import Operator, Principal, guarded, stands
from api.deps import Limit, ProcessDep, TailDep
from api.errors import documented
from api.tail import Tail
from api.windows import opening
from pathfinder.bootstrap import Process
from pathfinder.domain import views
from pathfinder.domain.errors import FieldProblem, Invalid
from pathfinder.store import clusters, events
from pathfinder.store.events import Cursor

router = guarded("/events", "events")

#: A stream whose token was revoked, or whose session has ended, tells nothing more after so long.
RECHECK_SECONDS = 30.0

#: How the document describes it.
_ITEM = {"type": "object", "properties": {name: {"type": "string"} for name in ("id", "event", "data")}}
STREAM: dict[str, Any] = {"content": {"text/event-stream": {"itemSchema": _ITEM}}}

_AGO = re.compile(r"(\d{1,9})(ms|s|m|h|d)")
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


async def narrowed(
    process: ProcessDep,
    asking: Operator,
    cluster: Annotated[str | None, Query(max_length=63, description="Only events of this cluster.")] = None,
    kind: Annotated[
        list[str],
        Query(max_length=32, description="Only this kind, or with a dot at the end this family (`container.`)."),
    ] = [],  # noqa: B006 - FastAPI copies it
    subject: Annotated[UUID | None, Query(description="Only events about what has this id.")] = None,
    container: Annotated[str | None, Query(max_length=63, description="Only events about containers so named.")] = None,
    node: Annotated[str | None, Query(max_length=63, description="Only events on this node.")] = None,
    actor: Annotated[
        list[str],
        Query(max_length=64, description="Only by this actor, or with a colon at the end these (`user:`, `token:`)."),
    ] = [],  # noqa: B006 - FastAPI copies it
    since: Annotated[
        str | None, Query(max_length=40, description="Only events since a moment (RFC 3339) or so long ago (`10m`).")
    ] = None,
) -> events.Query:
    """The events a request asks for. Raises NotFound for a cluster that is not there, Forbidden, Invalid.

    A dependency, so that it is refused before it streams. Containers and nodes may be named that are gone, or not there
    yet: the log has them for ever, and a stream may be waiting for them.
    """
    begin = None if since is None else moment(since)
    asked = events.Query(cluster, tuple(kind), subject, container, node, begin, tuple(actor), asking.clusters)
    if cluster is not None:
        asking.require(cluster)
        async with process.database.read() as connection:
            await clusters.find(connection, cluster)
    return asked


Narrowed = Annotated[events.Query, Depends(narrowed)]


def moment(written: str) -> datetime:
    """A moment (RFC 3339) or so long ago (`10m`), as a request writes it. Raises Invalid."""
    try:
        if ago := _AGO.fullmatch(written):
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        at = datetime.fromisoformat(written)
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        words = "write a moment like 2026-11-23T21:30:00Z, or a time ago like 90s, 10m, 2h or 1d"
        raise Invalid("The moment is not right.", [FieldProblem("since", words)]) from error


@router.get("", responses=documented(404))
async def get_all(
    process: ProcessDep,
    asking: Operator,
    narrowed: Narrowed,
    limit: Limit = 200,
    cursor: Annotated[str, Query(max_length=80, description="The next_cursor of the page before.")] = "0",
) -> views.Page[views.Event]:
    """What happened, oldest first. `next_cursor` is null at the end of the log; the last event's `cursor` goes on."""
    async with process.database.begin() as tx:
        part = await events.read(tx, Cursor.parse(cursor), narrowed, limit)
    more = len(part.events) == limit
    return views.Page(items=[event for _, event in part.events], next_cursor=str(part.cursor) if more else None)


def starting(
    narrowed: Narrowed,
    cursor: Annotated[
        str | None, Query(max_length=80, description="Where to go on; 0 for the beginning; now if left out.")
    ] = None,
    last_event_id: Annotated[str | None, Header(max_length=80, description="Where a broken stream goes on.")] = None,
) -> Cursor | None:
    """The place a stream starts at; None for now. A dependency, so that a wrong one is refused before it streams."""
    written = last_event_id or cursor or ("0" if narrowed.since else None)
    return None if written is None else Cursor.parse(written)


@router.get("/stream", response_class=StreamingResponse, responses=documented(404) | {200: STREAM})
async def stream(
    process: ProcessDep,
    asking: Operator,
    tail: TailDep,
    narrowed: Narrowed,
    start: Annotated[Cursor | None, Depends(starting)],
) -> StreamingResponse:
    """What happens, as it happens (server-sent events): `id` is the cursor, `event` the kind, `data` the event.

    A client that comes back with `Last-Event-ID` gets everything it missed, once and in order. The first thing sent is
    the `id` the stream starts at, so that this holds before any event came. It ends soon after
    its token or session does.
    """
    # Not by FastAPI's own way of encoding: all streams that ask for the same are given the same bytes.
    body = _told(process, asking, tail, narrowed, start or await tail.now())
    return StreamingResponse(body, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _told(
    process: Process, asking: Principal, tail: Tail, narrowed: events.Query, reached: Cursor
) -> AsyncIterator[bytes]:
    yield opening(reached)
    clock = asyncio.get_running_loop().time
    known = clock()
    async for part in tail.stream(reached, narrowed):
        if clock() - known > RECHECK_SECONDS:
            if not await stands(process, asking):
                return
            known = clock()
        yield part.frames
