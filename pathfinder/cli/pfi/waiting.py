"""`--wait`: following one container's events until what was asked for has happened, or cannot."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing

from pathfinder.cli.pfi.failures import Failed, TimedOut
from pathfinder.cli.pfi.notices import Notices
from pathfinder.cli.pfi.progress import Display
from pathfinder.client import Client, EventSelection
from pathfinder.domain.views import Container, Event

#: The cursor before a container's first event: its whole life is followed, however late the stream opens.
BIRTH = "0"

#: Kinds that end a wait, and the complaint about those that are not what was waited for. {} is the event's reason.
RUNNING: Mapping[str, str | None] = {
    "container.provisioned": None,
    "container.provision_failed": "{}",
    "container.deleted": "it was deleted before it ran",
}
BOOTSTRAPPED: Mapping[str, str | None] = {
    "container.bootstrapped": None,
    "container.bootstrap_failed": "{}",
    "container.provision_failed": "{}",
    "container.deleted": "it was deleted before it was bootstrapped",
}
GONE: Mapping[str, str | None] = {"container.deleted": None}


async def wait(
    client: Client,
    container: Container,
    ends: Mapping[str, str | None],
    *,
    display: Display,
    seconds: float,
    cursor: str = BIRTH,
) -> None:
    """Follow `container` until one of the events that end the wait; `Failed` or `TimedOut` if it is not the good one.

    `cursor`: where in its life to begin.
    """
    name = container.hostname
    try:
        async with asyncio.timeout(seconds):
            last = await _last(client, container, ends, display, cursor)
    except TimeoutError:
        raise TimedOut(
            f"container {name} is not there yet after {seconds:g} s ({display.stage or 'nothing has happened'})",
            f"it goes on without pfi; see it with: pfi describe container {name}",
        ) from None
    complaint = ends[last.kind]
    if complaint is not None:
        reason = complaint.format(last.body.get("reason") or "no reason was given")
        raise Failed(f"container {name}: {reason}", f"see what happened with: pfi describe container {name}")


async def _last(
    client: Client, container: Container, ends: Mapping[str, str | None], display: Display, cursor: str
) -> Event:
    selection = EventSelection(subject=container.id)
    async with aclosing(client.events.follow(selection, cursor=cursor, listener=Notices())) as events:
        async for event in events:
            display.show(event)
            # A failure that says when it is tried again is a step, not an end.
            if event.kind in ends and not event.body.get("retry_at"):
                return event
    raise AssertionError("the stream has no end")


async def newest(client: Client, container: Container) -> str:
    """The cursor after everything that has happened to a container so far, so that a wait sees only what follows."""
    cursor = BIRTH
    async for event in client.events.list(EventSelection(subject=container.id)):
        cursor = event.cursor
    return cursor
