"""Doubles, delays and reorders messages on the real broker.

Copies: it sees everything that is published to the exchanges of events, reports and commands, and publishes a share of
it again, each copy after a time of its own (up to `LATE_SECONDS`). So receivers get messages twice, and the second time
long after what came later.

Originals: it takes part in consuming the scheduler's, the recorder's and some nodes' queues, like a receiver that is
slow: it puts what it got back into the same queue, each message after a time of its own, and acknowledges it only then.
So originals come late and in another order, and none is lost whenever it dies itself.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

from pathfinder.domain.messages import Exchange

#: Marks copies, so that none is copied again.
MARK = "chaos-copy"
LATE_SECONDS = 20.0
HELD_SECONDS = 4.0
SHARE = 0.1
#: Messages of one queue that are held at a time.
HOLD = 10
NODES_AT_ONCE = 12

Begin = Callable[[Coroutine[Any, Any, None]], None]


class Meddler:
    """One of them. `copied` and `held` count what it did."""

    def __init__(self, url: str, nodes: Sequence[str], seed: int) -> None:
        self._url = url
        self._nodes = list(nodes)
        self._random = random.Random(seed)
        self._hurry = asyncio.Event()
        self.copied = self.held = 0

    async def run(self) -> None:
        """Meddle, over a new connection whenever one breaks, until told to `stop`."""
        while not self._hurry.is_set():
            with suppress(OSError, asyncio.TimeoutError, aio_pika.exceptions.AMQPError, RuntimeError):
                async with await aio_pika.connect(self._url, timeout=5) as connection:
                    await self._meddle(connection)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), 1)

    async def _meddle(self, connection: AbstractConnection) -> None:
        closed = asyncio.Event()
        connection.close_callbacks.add(lambda *_: closed.set())
        tasks: set[asyncio.Task[None]] = set()

        def begin(work: Coroutine[Any, Any, None]) -> None:
            task = asyncio.create_task(work)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        try:
            await self._copy(await connection.channel(), begin)
            await self._hold(await connection.channel(), begin)
            await _first(closed, self._hurry)
            if not closed.is_set():
                await asyncio.gather(*tasks, return_exceptions=True)  # in a hurry now, none waits
        finally:
            for task in tasks:
                task.cancel()

    def stop(self) -> None:
        """Let go of everything that is held, and meddle no more."""
        self._hurry.set()

    async def _copy(self, channel: AbstractChannel, begin: Begin) -> None:
        queue = await channel.declare_queue(exclusive=True, arguments={"x-max-length": 20_000})
        for exchange, keys in (
            (Exchange.EVENTS, ["#"]),
            (Exchange.REPORTS, ["#"]),
            (Exchange.COMMANDS, self._nodes),
        ):
            for key in keys:
                await queue.bind(exchange, key)

        async def take(message: AbstractIncomingMessage) -> None:
            if MARK not in message.headers and self._random.random() < SHARE and not self._hurry.is_set():
                begin(self._again(channel, message))

        await queue.consume(take, no_ack=True)

    async def _again(self, channel: AbstractChannel, message: AbstractIncomingMessage) -> None:
        await self._wait(min(LATE_SECONDS, self._random.expovariate(0.25)))
        exchange = await channel.get_exchange(message.exchange or "", ensure=False)
        copy = aio_pika.Message(message.body, headers={MARK: "1"}, content_type=message.content_type)
        with suppress(aio_pika.exceptions.AMQPError, OSError, RuntimeError):
            await exchange.publish(copy, message.routing_key or "", mandatory=False)
            self.copied += 1

    async def _hold(self, channel: AbstractChannel, begin: Begin) -> None:
        await channel.set_qos(prefetch_count=HOLD)
        nodes = self._random.sample(self._nodes, min(NODES_AT_ONCE, len(self._nodes)))
        names = ["pathfinder.scheduler", "pathfinder.recorder", *(f"pathfinder.node.{node}" for node in nodes)]

        async def take(message: AbstractIncomingMessage, name: str) -> None:
            begin(self._put_back(channel, message, name))

        for name in names:
            queue = await channel.get_queue(name, ensure=False)
            await queue.consume(partial(take, name=name))

    async def _put_back(self, channel: AbstractChannel, message: AbstractIncomingMessage, name: str) -> None:
        await self._wait(self._random.uniform(0, HELD_SECONDS))
        late = aio_pika.Message(message.body, headers=dict(message.headers), content_type=message.content_type)
        with suppress(aio_pika.exceptions.AMQPError, OSError, RuntimeError):
            await channel.default_exchange.publish(late, name)
            await message.ack()
            self.held += 1

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), seconds)


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
