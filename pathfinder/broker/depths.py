"""How much waits in queues, and who takes it: by passive declares, which need no right but to declare."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import ChannelClosed, ChannelNotFoundEntity

from pathfinder.broker.connection import BROKEN, as_lost
from pathfinder.domain.status import QueueStatus

#: Each channel answers one question at a time; so many are asked at once.
CHANNELS = 8


async def messages(channel: AbstractChannel, queue: str) -> int:
    """How many messages wait in a queue: none in one that nobody has made yet."""
    try:
        with as_lost():
            found = await channel.declare_queue(queue, passive=True)
    except ChannelNotFoundEntity:
        await channel.reopen()  # the answer closed it
        return 0
    return found.declaration_result.message_count or 0


async def depths(connection: AbstractConnection, names: Sequence[str], seconds: float) -> dict[str, QueueStatus]:
    """What each queue holds, by its name. One that is not there is left out, as is what was not told in time."""
    found: dict[str, QueueStatus] = {}
    waiting = iter(names)
    with contextlib.suppress(*BROKEN):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as asking:
            for _ in range(min(CHANNELS, len(names))):
                asking.create_task(_ask(connection, waiting, found))
    return found


async def _ask(connection: AbstractConnection, waiting: Iterator[str], found: dict[str, QueueStatus]) -> None:
    try:
        for name in waiting:
            # The broker ends a channel on which somebody asked for a queue that is not there.
            async with connection.channel() as channel:
                await _ask_on(channel, name, waiting, found)
    except BROKEN:
        return  # what was told is told


async def _ask_on(channel: AbstractChannel, name: str, waiting: Iterator[str], found: dict[str, QueueStatus]) -> None:
    with contextlib.suppress(ChannelClosed):
        while True:
            queue = await channel.declare_queue(name, passive=True)
            told = queue.declaration_result
            found[name] = QueueStatus(name=name, messages=told.message_count or 0, consumers=told.consumer_count or 0)
            following = next(waiting, None)
            if following is None:
                return
            name = following
