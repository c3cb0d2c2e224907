"""The outbox and its relays, whatever they do in whatever order: nothing lost, nothing made up, each way in order."""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from sqlalchemy import text
from workbench import OneByOne, eventually

import workers.relay
from pathfinder.bootstrap import Process
from pathfinder.broker.publish import QueueFull
from pathfinder.domain.errors import Unavailable
from pathfinder.domain.messages import Command, Envelope, Exchange, decode, encode
from pathfinder.store import outbox

T = TypeVar("T")
HOSTS = st.sampled_from(["node-a", "node-b"])


class Gated(OneByOne):
    """A publisher of one batch: nothing is published before it is told how that ends."""

    def __init__(self, published: list[int]) -> None:
        self.published = published
        self.taken: dict[str, list[int]] = {}
        self.full: frozenset[str] = frozenset()
        self.dies = False
        self.told = asyncio.Event()

    async def publish(
        self, exchange: str, routing_key: str, body: bytes, *, mandatory: bool = True, persistent: bool = True
    ) -> None:
        """Keep the numbers of the envelopes, once it may."""
        numbers = [int(one.subject) for one in decode(body)]
        self.taken.setdefault(routing_key, []).extend(numbers)
        await self.told.wait()
        if routing_key in self.full:
            raise QueueFull("full")
        self.published += numbers
        if self.dies:
            raise ConnectionError("it died before it could commit")


@dataclass
class Relaying:
    """A relay in the middle of a batch, and the messages that others held when it took its own."""

    task: "asyncio.Task[int]"
    publisher: Gated
    held_by_others: set[int]

    @property
    def numbers(self) -> set[int]:
        """The messages that it holds."""
        return {number for numbers in self.publisher.taken.values() for number in numbers}


class OutboxMachine(RuleBasedStateMachine):
    """Whatever is written, taken, refused and published, in any order, by relays that die at any point.

    Messages are numbered as they are written; `ways` are the numbers of each node, `settled` those that a relay
    published and committed.
    """

    def __init__(self, process: Process, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.process, self.loop = process, loop
        self.ways: dict[str, list[int]] = {}
        self.count = 0
        self.published: list[int] = []
        self.settled: set[int] = set()
        self.relays: list[Relaying] = []
        self.wait(self.empty())

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """What it gives, of the loop that the test runs in."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def empty(self) -> None:
        """Nothing is in the outbox."""
        async with self.process.database.begin() as tx:
            await tx.execute(text("DELETE FROM outbox"))

    async def put(self, node: str, numbers: Iterable[int], *, fails: bool = False) -> None:
        """Commands to a node, one row each, in a transaction that may fail."""
        bodies = [encode([Envelope(Command.PROVISION, "c", str(number))]) for number in numbers]
        async with self.process.database.begin() as tx:
            await outbox.put(tx, [(Exchange.COMMANDS, node, body) for body in bodies])
            if fails:
                raise ZeroDivisionError

    async def left(self) -> int:
        """Rows in the outbox."""
        async with self.process.database.begin() as tx:
            return int((await tx.execute(text("SELECT count(*) FROM outbox"))).scalar_one())

    @rule(node=HOSTS, many=st.integers(1, 3))
    def write(self, node: str, many: int) -> None:
        """In one transaction."""
        numbers = range(self.count, self.count + many)
        self.count += many
        self.wait(self.put(node, numbers))
        self.ways.setdefault(node, []).extend(numbers)

    @rule(node=HOSTS)
    def write_and_roll_back(self, node: str) -> None:
        """Its number is never seen."""

        with pytest.raises(ZeroDivisionError):
            self.wait(self.put(node, [-1], fails=True))

    @precondition(lambda self: len(self.relays) < 3)
    @rule()
    def take(self) -> None:
        """A relay takes what it can get, and is about to publish it."""
        held = {number for one in self.relays for number in one.numbers}
        publisher = Gated(self.published)

        async def begin() -> "asyncio.Task[int]":
            task = asyncio.create_task(workers.relay.publish_some(self.process, publisher))

            async def took() -> bool:
                return task.done() or bool(publisher.taken)

            await eventually(took)
            return task

        one = Relaying(self.wait(begin()), publisher, held)
        if one.numbers:
            self.relays.append(one)
        assert not one.numbers & (held | self.settled)

    @precondition(lambda self: self.relays)
    @rule(which=st.integers(0, 2), full=st.frozensets(HOSTS), dies=st.booleans())
    def publish(self, which: int, full: frozenset[str], dies: bool) -> None:
        """What no full queue refuses; the rest is put back, unless the relay dies first."""
        one = self.relays[which % len(self.relays)]
        for node, numbers in one.publisher.taken.items():
            older = [number for number in self.ways[node] if number < min(numbers)]
            assert numbers == sorted(numbers)
            assert set(older) <= set(self.published) | one.held_by_others
        self.relays.remove(one)
        one.publisher.full, one.publisher.dies = full, dies
        self.loop.call_soon_threadsafe(one.publisher.told.set)
        died = self.wait(self.end(one))
        if not died:
            for node, numbers in one.publisher.taken.items():
                self.settled |= set() if node in full else set(numbers)

    @precondition(lambda self: self.relays)
    @rule(which=st.integers(0, 2))
    def die(self, which: int) -> None:
        """Before anything was published."""
        one = self.relays.pop(which % len(self.relays))
        self.loop.call_soon_threadsafe(one.task.cancel)
        assert self.wait(self.end(one))

    async def end(self, one: Relaying) -> bool:
        """Wait for it; whether it died."""
        (result,) = await asyncio.gather(one.task, return_exceptions=True)
        assert isinstance(result, int | Unavailable | asyncio.CancelledError), result
        return not isinstance(result, int)

    def teardown(self) -> None:
        """Everything is published in the end, and nothing that was not written."""
        try:
            while self.wait(self.left()):
                self.take()
                self.publish(0, frozenset(), dies=False)
            while self.relays:
                self.publish(0, frozenset(), dies=False)
            assert set(self.published) == self.settled == set(range(self.count))
        finally:
            while self.relays:
                self.die(0)


async def test_whatever_is_written_is_published_in_the_order_of_each_way(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once, and never again once that is committed; the older ones of a way first, but for those that another
    relay holds.
    """
    monkeypatch.setattr(outbox, "BATCH", 4)
    loop = asyncio.get_running_loop()
    bounds = settings(max_examples=25, stateful_step_count=20, deadline=None)
    await asyncio.to_thread(run_state_machine_as_test, lambda: OutboxMachine(process, loop), settings=bounds)
