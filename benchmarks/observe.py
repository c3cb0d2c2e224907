"""When things happened, by this process's clock: commits as PostgreSQL announces them, events as users get them."""

import asyncio
import bisect
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from benchmarks import store
from pathfinder.client import Client, EventSelection
from pathfinder.client.stream import Silent
from pathfinder.domain.messages import Kind
from pathfinder.domain.views import Event
from pathfinder.store.journal import CHANNEL

LIMIT_SECONDS = 60.0


@dataclass(slots=True)
class Commits:
    """The commits that PostgreSQL announced: when, and which of its processes made each, in the order they came in."""

    moments: list[float] = field(default_factory=list)
    backends: list[int] = field(default_factory=list)

    def note(self, _: object, backend: int, *__: object) -> None:
        """One is announced now."""
        self.moments.append(time.time())
        self.backends.append(backend)

    def of(self, backends: Collection[int]) -> "Commits":
        """Those that these processes made."""
        pairs = [(at, one) for at, one in zip(self.moments, self.backends, strict=True) if one in backends]
        return Commits([at for at, _ in pairs], [one for _, one in pairs])

    def after(self, written: float) -> float:
        """The moment of the first one after something was written: its own, where nobody else commits meanwhile."""
        return self.moments[bisect.bisect_left(self.moments, written)]

    def each(self, written: Iterable[float]) -> list[float]:
        """The moment of each of several that were made one after the other, by when they wrote: no two have the same.

        Theirs must be among these; others may be, unless they write at the same time.
        """
        left = iter(self.moments)
        return [next(at for at in left if at >= moment) for moment in written]


@asynccontextmanager
async def listening(database_url: str) -> AsyncIterator[Commits]:
    """Note commits while the context lasts."""
    commits, connection = Commits(), await store.connect(database_url)
    await connection.add_listener(CHANNEL, commits.note)
    try:
        yield commits
    finally:
        await connection.close()


@dataclass(slots=True)
class Observer:
    """What has been seen so far. Moments are `time.time()`: PostgreSQL's clock, on the same machine."""

    commits: Commits
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
        return self.commits.after(self.seen[name, str(kind)][1].at.timestamp())

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
    async with listening(database_url) as commits:
        observer, connected = Observer(commits), _Connected()

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
