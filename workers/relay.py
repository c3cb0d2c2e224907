"""relay: publishes what the outbox holds, as soon as it is committed."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import structlog
from aio_pika.abc import AbstractConnection

from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.connection import backoff, pause
from pathfinder.broker.publish import Publisher, Unroutable
from pathfinder.domain.errors import Unavailable
from pathfinder.domain.messages import Exchange, join
from pathfinder.store import outbox
from pathfinder.store.journal import CHANNEL

log = structlog.get_logger()

#: A joined message body stays below this, so that one message never holds up a channel.
MAX_BODY_BYTES = 1 << 20


async def run(process: Process) -> None:
    """Publish until told to stop."""
    wake = asyncio.Event()
    listening = asyncio.create_task(_listen(process, wake))
    try:
        await process.broker("relay").run(partial(_serve, process, wake), process.stopping)
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


async def _listen(process: Process, wake: asyncio.Event) -> None:
    """Set `wake` whenever a transaction with outbox rows commits, and when the process is to stop."""
    attempt = 0
    while not process.stopping.is_set():
        try:
            connection = await process.database.listen_connection()
            try:
                lost = asyncio.Event()
                connection.add_termination_listener(lambda _, lost=lost: lost.set())
                await connection.add_listener(CHANNEL, lambda *_: wake.set())
                wake.set()  # what was committed while nobody listened
                attempt = 0
                await lost.wait()
            finally:
                await connection.close(timeout=2)
        except (OSError, TimeoutError, *process.database.broken) as error:
            log.warning("not listening to PostgreSQL", error=str(error))
        await pause(process.stopping, backoff(attempt))
        attempt += 1


async def _serve(process: Process, wake: asyncio.Event, connection: AbstractConnection) -> None:
    publisher = await Publisher.open(connection)
    stop = asyncio.create_task(_wake_on_stop(process, wake))
    try:
        while not process.stopping.is_set():
            wake.clear()
            try:
                # What is committed from here on wakes us again, so only a full batch means that more may be waiting.
                while await publish_some(process, publisher) >= outbox.BATCH:
                    pass
            except Unavailable as error:
                log.warning("waiting", reason=str(error))
                await pause(process.stopping, backoff(3))
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), process.settings.sweep_seconds)
    finally:
        stop.cancel()


async def _wake_on_stop(process: Process, wake: asyncio.Event) -> None:
    await process.stopping.wait()
    wake.set()


async def publish_some(process: Process, publisher: Publisher) -> int:
    """Publish one batch of the outbox; how many rows it had.

    The rows are deleted by the transaction that spans the publishing: if anything fails they are all there again.
    """
    async with process.database.begin() as tx:
        rows = await outbox.take(tx)
        await asyncio.gather(*(_publish(publisher, *message) for message in _joined(rows)))
    return len(rows)


async def _publish(publisher: Publisher, exchange: str, key: str, body: bytes) -> None:
    try:
        # An event that no queue wants is no mistake; a command without a queue is.
        await publisher.publish(exchange, key, body, mandatory=exchange == Exchange.COMMANDS)
    except Unroutable:
        # The node's queue is gone. The command waits in a new one: its agent, if it comes, declares the same.
        await topology.declare(publisher.channel, topology.node_queue(key))
        await publisher.publish(exchange, key, body)


def _joined(rows: Sequence[outbox.Message]) -> list[tuple[str, str, bytes]]:
    """Messages that go the same way as one, oldest first, each below `MAX_BODY_BYTES` where that is possible."""
    ways: dict[tuple[str, str], list[list[bytes]]] = defaultdict(lambda: [[]])
    for row in rows:
        parcels = ways[row.exchange, row.routing_key]
        if parcels[-1] and sum(map(len, parcels[-1])) + len(row.body) > MAX_BODY_BYTES:
            parcels.append([])
        parcels[-1].append(row.body)
    return [(*way, join(parcel)) for way, parcels in ways.items() for parcel in parcels]
