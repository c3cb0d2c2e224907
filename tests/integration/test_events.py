"""The event log: nothing skipped, nothing told twice, whoever writes while it is read."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sized
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection
from workbench import eventually

from api.tail import Tail
from pathfinder.bootstrap import Process
from pathfinder.domain.messages import Kind
from pathfinder.domain.views import Event
from pathfinder.store import events, journal
from pathfinder.store.clusters import Cluster
from pathfinder.store.events import Cursor, Query


def fact(cluster: Cluster, name: str, number: int = 0) -> journal.Fact:
    """An event about a container that is only a name; the number tells it from the others."""
    subject = UUID(int=abs(hash(name)) % 2**64)
    return journal.Fact(
        Kind.CONTAINER_PROGRESS, cluster.id, "container", subject, name, "test", generation=number, node=None
    )


async def drain(process: Process, cursor: Cursor, limit: int = 3) -> tuple[list[str], Cursor]:
    """Everything that can be read behind `cursor` now, and the place behind it."""
    names = []
    while True:
        async with process.database.begin() as tx:
            part = await events.read(tx, cursor, Query(kinds=("container.",)), limit)
        names += [f"{one.event.subject.name}/{one.event.generation}" for one in part.events]
        if not part.events and (not part.more or part.cursor == cursor):
            return names, part.cursor
        cursor = part.cursor


@asynccontextmanager
async def open_writer(process: Process) -> AsyncIterator[AsyncConnection]:
    """A transaction that is still running."""
    async with process.database.engine.connect() as connection:
        await connection.begin()
        yield connection


async def test_an_event_that_commits_late_is_not_skipped(process: Process, cluster: Cluster) -> None:
    """Written first, committed last: readers wait for it instead of passing it."""
    _, cursor = await drain(process, Cursor())
    async with open_writer(process) as slow, open_writer(process) as fast:
        await journal.record(slow, [fact(cluster, "slow")])
        await journal.record(fast, [fact(cluster, "fast")])
        await fast.commit()
        seen, cursor = await drain(process, cursor)
        assert seen == []  # the fast one is not told yet: the slow one is older and may still commit
        await slow.commit()

    seen, _ = await drain(process, cursor)
    assert seen == ["slow/0", "fast/0"]


async def test_an_event_that_was_rolled_back_is_never_told(process: Process, cluster: Cluster) -> None:
    """Its number stays unused."""
    async with open_writer(process) as writer:
        await journal.record(writer, [fact(cluster, "never")])
        await writer.rollback()
    async with process.database.begin() as tx:
        await journal.record(tx, [fact(cluster, "always")])

    assert (await drain(process, Cursor()))[0] == ["always/0"]


async def test_a_reader_that_stops_within_a_window_goes_on_there(process: Process, cluster: Cluster) -> None:
    """Each event's own cursor is a place to resume at, whatever was written since."""
    async with process.database.begin() as tx:
        await journal.record(tx, [fact(cluster, "first", number) for number in range(5)])
    async with process.database.begin() as tx:
        part = await events.read(tx, Cursor(), Query(kinds=("container.",)), 100)
    async with process.database.begin() as tx:
        await journal.record(tx, [fact(cluster, "second")])

    for index, one in enumerate(part.events):
        rest, _ = await drain(process, Cursor.parse(one.event.cursor))
        assert rest == [f"first/{number}" for number in range(index + 1, 5)] + ["second/0"]


@pytest.mark.parametrize("seed", range(6))
async def test_concurrent_writers_every_event_exactly_once_and_in_order_per_subject(
    process: Process, cluster: Cluster, seed: int
) -> None:
    """Four writers with transactions of any length, commits and rollbacks in any order, one reader all the while."""
    dice = random.Random(seed)
    locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # stands for the row lock of the subject
    written: list[str] = []
    counter: dict[str, int] = defaultdict(int)

    async def write(own: random.Random) -> None:
        for _ in range(8):
            names = own.sample("abc", own.randint(1, 2))
            async with open_writer(process) as writer:
                for name in sorted(names):
                    await locks[name].acquire()
                try:
                    facts = [fact(cluster, name, counter[name] + 1) for name in names]
                    await journal.record(writer, facts)
                    for _ in range(own.randint(0, 5)):
                        await writer.exec_driver_sql("SELECT 1")  # stay open for a while
                    if own.random() < 0.2:
                        await writer.rollback()
                        continue
                    await writer.commit()
                    for name in names:
                        counter[name] += 1
                    written.extend(f"{one.subject_name}/{one.generation}" for one in facts)
                finally:
                    for name in names:
                        locks[name].release()

    read: list[str] = []
    writing = asyncio.gather(*(write(random.Random(dice.random())) for _ in range(4)))
    cursor = Cursor()
    while not writing.done():
        more, cursor = await drain(process, cursor, limit=dice.choice([1, 2, 500]))
        read += more
    await writing
    more, _ = await drain(process, cursor)
    read += more

    assert sorted(read) == sorted(written)
    for name in "abc":
        mine = [int(one.split("/")[1]) for one in read if one.startswith(name)]
        assert mine == sorted(mine)


async def collect(tail: Tail, cursor: Cursor | None, query: Query, into: list[Event]) -> None:
    """Follow a stream."""
    async for part in tail.stream(cursor, query):
        into.extend(part.events)


async def test_streams_that_start_anywhere_tell_every_later_event_once(process: Process, cluster: Cluster) -> None:
    """Past and present meet without a gap or a double, while somebody writes."""
    tail = Tail(process)
    running = asyncio.create_task(tail.run())
    streams: list[tuple[int, list[Event], asyncio.Task[None]]] = []
    total = 40
    async with process.database.begin() as tx:
        begin = await events.now(tx)
    for number in range(total):
        async with process.database.begin() as tx:
            await journal.record(tx, [fact(cluster, "x", number)])
        if number % 10 == 5:
            got: list[Event] = []
            task = asyncio.create_task(collect(tail, begin, Query(container="x"), got))
            streams.append((0, got, task))

    async def all_there() -> bool:
        return all(len(got) >= total for _, got, _ in streams)

    await eventually(all_there)
    process.stopping.set()
    await asyncio.gather(running, *(task for _, _, task in streams))
    for _, got, _ in streams:
        assert [event.generation for event in got] == list(range(total))


async def test_the_log_is_read_only_while_somebody_follows_and_nothing_is_missed(
    process: Process, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events that nobody followed cost no read; whoever comes later has them from the past, each once."""
    tail, read, rounds, reads = Tail(process), events.read, list[float](), list[Cursor]()

    async def noted(tx: AsyncConnection, cursor: Cursor, *arguments: Any) -> events.Slice:
        reads.append(cursor)
        return await read(tx, cursor, *arguments)

    async def no_pause(_: asyncio.Event, seconds: float) -> None:
        rounds.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(events, "read", noted)
    monkeypatch.setattr("api.tail.pause", no_pause)
    running = asyncio.create_task(tail.run())
    async with process.database.begin() as tx:
        begin = await events.now(tx)
    for turn in range(3):
        async with process.database.begin() as tx:
            await journal.record(tx, [fact(cluster, "y", 2 * turn)])
        reads.clear()
        rounds.clear()
        await eventually(lambda: _as_many(rounds, 20))
        assert len(reads) <= 1  # for the stream that just ended
        got: list[Event] = []
        following = asyncio.create_task(collect(tail, begin, Query(container="y"), got))
        async with process.database.begin() as tx:
            await journal.record(tx, [fact(cluster, "y", 2 * turn + 1)])
        await eventually(lambda got=got, turn=turn: _as_many(got, 2 * turn + 2))
        assert [event.generation for event in got] == list(range(2 * turn + 2))
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    process.stopping.set()
    await running


async def _as_many(got: Sized, count: int) -> bool:
    return len(got) >= count


async def test_the_same_rule_narrows_lists_and_streams(process: Process, cluster: Cluster) -> None:
    """`Query.matches` and the SQL agree."""
    async with process.database.begin() as tx:
        await journal.record(tx, [fact(cluster, "a"), fact(cluster, "b")])
    async with process.database.begin() as tx:
        everything = (await events.read(tx, Cursor(), Query(), 100)).events
    first = everything[1].event
    queries = [
        Query(),
        Query(cluster="default"),
        Query(cluster="other"),
        Query(kinds=("container.",)),
        Query(kinds=("cluster.created", "container.progress")),
        Query(kinds=("container",)),
        Query(subject=first.subject.id),
        Query(subject=uuid4()),
        Query(container="a"),
        Query(container="default"),
        Query(node="node-01"),
        Query(since=first.at),
    ]
    for query in queries:
        async with process.database.begin() as tx:
            listed = (await events.read(tx, Cursor(), query, 100)).events
        assert [one.event.seq for one in listed] == [one.event.seq for one in everything if query.matches(one.event)], (
            query
        )


async def test_a_stream_that_nothing_concerns_still_says_that_it_lives(
    process: Process, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while others are told something: else its reader would take the connection for broken."""
    monkeypatch.setattr("api.tail.QUIET_SECONDS", 0.02)
    tail = Tail(process)
    running = asyncio.create_task(tail.run())
    async with process.database.begin() as tx:
        begin = await events.now(tx)
    quiet = tail.stream(begin, Query(container="nobody"))

    async with asyncio.timeout(30):
        for number in range(3):
            async with process.database.begin() as tx:
                await journal.record(tx, [fact(cluster, "x", number)])
            assert (await anext(quiet)).frames == b": ping\n\n"
    process.stopping.set()
    await running


async def test_many_streams_are_served_in_turns_and_none_misses_anything(
    process: Process, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written while a window goes round is gathered for the next one."""
    monkeypatch.setattr("api.tail.AT_ONCE", 2)
    tail = Tail(process)
    running = asyncio.create_task(tail.run())
    async with process.database.begin() as tx:
        begin = await events.now(tx)
    got: list[list[Event]] = [[] for _ in range(9)]
    following = [asyncio.create_task(collect(tail, begin, Query(container="many"), into)) for into in got]
    for number in range(30):
        async with process.database.begin() as tx:
            await journal.record(tx, [fact(cluster, "many", number)])

    await eventually(lambda: _as_many([one for into in got for one in into], 9 * 30))

    process.stopping.set()
    await asyncio.gather(running, *following)
    assert all([event.generation for event in into] == list(range(30)) for into in got)
