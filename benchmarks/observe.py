"""When things happened, by this process's clock: commits as PostgreSQL announces them, events as users get them."""

import asyncio
import bisect
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from sqlalchemy import make_url

from pathfinder.client import Client, EventSelection
from pathfinder.client.stream import Silent
from pathfinder.domain.messages import Kind
from pathfinder.domain.views import Event
from pathfinder.store.journal import CHANNEL

LIMIT_SECONDS = 60.0


@dataclass(slots=True)
class Observer:
    """What has been seen so far. Moments are `time.time()`: PostgreSQL's clock, on the same machine."""

    commits: list[float] = field(default_factory=list)
    seen: dict[tuple[str, str], tuple[float, Event]] = field(default_factory=dict)
    _waiting: dict[tuple[str, str], list[asyncio.Future[float]]] = field(default_factory=lambda: defaultdict(list))

    async def delivered(self, name: str, kind: Kind) -> float:
        """The moment the event stream delivers the event of that kind about `name`."""
        key = (name, str(kind))
        if key in self.seen:
            return self.seen[key][0]
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[key].append(future)
        async with asyncio.timeout(LIMIT_SECONDS):
            return await future

    def committed(self, name: str, kind: Kind) -> float:
        """The moment that event was committed: the first announcement of a commit after it was written.

        Announcements may come later than the event itself, so ask when a later change was seen.
        """
        written = self.seen[name, str(kind)][1].at.timestamp()
        return self.commits[bisect.bisect_left(self.commits, written)]

    def note(self, event: Event) -> None:
        """An event arrived."""
        now, key = time.time(), (event.subject.name, event.kind)
        self.seen.setdefault(key, (now, event))
        for future in self._waiting.pop(key, []):
            if not future.done():
                future.set_result(now)


class _Connected(Silent):
    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def connected(self) -> None:
        self.open.set()


@asynccontextmanager
async def observing(client: Client, database_url: str) -> AsyncIterator[Observer]:
    """Observe while the context lasts."""
    observer, connected = Observer(), _Connected()
    url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    listening: Any = await asyncpg.connect(url)
    await listening.add_listener(CHANNEL, lambda *_: observer.commits.append(time.time()))

    async def follow() -> None:
        async for event in client.events.follow(EventSelection(kinds=("container.",)), listener=connected):
            observer.note(event)

    following = asyncio.create_task(follow())
    try:
        opening = asyncio.ensure_future(connected.open.wait())
        await asyncio.wait({opening, following}, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            await following  # it broke, and says why
        yield observer
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await listening.close()
