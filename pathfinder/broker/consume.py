"""Receiving messages: a dumb loop, and a visible list of policies round the handler.

The loop takes what has arrived, in batches; what to do when a handler fails is decided by `POLICIES`, each of which
wraps the next. A batch is acknowledged when the outermost policy returns.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from pathfinder import telemetry
from pathfinder.broker import topology
from pathfinder.broker.connection import BROKEN, BrokerLost, as_lost, backoff, consists_of
from pathfinder.broker.dead import Aside, deliveries
from pathfinder.domain.errors import MalformedMessage, TooSlow, Unavailable
from pathfinder.domain.messages import Envelope, decode, decode_report

log = structlog.get_logger()


#: How often in a row PostgreSQL may take a batch and not finish it in time. One that hangs takes one, and no more.
MOST_SLOW = 3

#: How long a channel may take to close; the end of its connection closes it, too.
CLOSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that arrived, and its envelopes."""

    message: AbstractIncomingMessage
    envelopes: Sequence[Envelope]


Handler = Callable[[Sequence[Delivery]], Awaitable[None]]
Reader = Callable[[AbstractIncomingMessage], Sequence[Envelope]]
Policy = Callable[[Handler, Aside], Handler]


def plainly(message: AbstractIncomingMessage) -> Sequence[Envelope]:
    """What a message says."""
    return decode(message.body)


def as_report(message: AbstractIncomingMessage) -> Sequence[Envelope]:
    """What a report says, if it is of the node that sent it."""
    return decode_report(message.body, message.routing_key or "")


def measure(handler: Handler, aside: Aside) -> Handler:
    """How long a batch takes, and how many messages are done with."""
    seconds, consumed = telemetry.HANDLING.labels(aside.label), telemetry.CONSUMED.labels(aside.label)

    async def handle(batch: Sequence[Delivery]) -> None:
        with telemetry.timed(seconds):
            await handler(batch)
        consumed.inc(len(batch))

    return handle


def isolate_poison(handler: Handler, aside: Aside) -> Handler:
    """A batch that fails is tried message by message; one that fails alone goes back to its queue.

    The queue counts deliveries. At `topology.DELIVERY_LIMIT` the message is set aside with its reason; should its
    consumer not live to do that, the queue itself sets it aside after `topology.RETURN_LIMIT`.
    """

    async def handle(batch: Sequence[Delivery]) -> None:
        try:
            await handler(batch)
        except Exception as error:
            if consists_of(error, (BrokerLost,)):
                raise  # not the message's doing: it is delivered again over the next connection
            if len(batch) > 1:
                for delivery in batch:
                    await handle([delivery])
            elif consists_of(error, (MalformedMessage,)) or deliveries(batch[0].message) >= topology.DELIVERY_LIMIT:
                await aside.put(batch[0].message, error)
            else:
                log.exception("message failed", message_id=batch[0].message.message_id)
                telemetry.FAILED.labels(aside.label, "requeued").inc()
                await asyncio.sleep(backoff(1))
                # Not a nack: since RabbitMQ 4.3 that no longer counts towards the limit.
                await batch[0].message.reject(requeue=True)

    return handle


def wait_while_unavailable(handler: Handler, _: Aside) -> Handler:
    """While PostgreSQL does not answer, the batch waits: that is not the messages' fault and costs them no try.

    What it answers, but cannot finish, `MOST_SLOW` times in a row may be a message's fault, and is a failure.
    """

    async def handle(batch: Sequence[Delivery]) -> None:
        attempt = slow = 0
        while True:
            try:
                return await handler(batch)
            except Unavailable as error:
                slow = slow + 1 if isinstance(error, TooSlow) else 0
                if slow >= MOST_SLOW:
                    raise
                log.warning("waiting", reason=str(error))
                await asyncio.sleep(backoff(attempt))
                attempt += 1

    return handle


#: Outermost first.
POLICIES: tuple[Policy, ...] = (measure, isolate_poison, wait_while_unavailable)


async def consume(
    connection: AbstractConnection,
    queue: topology.Queue,
    handler: Handler,
    stopping: asyncio.Event,
    *,
    prefetch: int,
    batch: int,
    read: Reader = plainly,
) -> None:
    """Hand the messages of `queue` to `handler`, up to `batch` at a time in the order of arrival, until `stopping`.

    `read` makes the envelopes of a message. The batch in hand is finished. Cancelled instead, it is not acknowledged,
    so it is delivered again.
    Raises ConnectionError when the broker ends the channel or the queue.
    """
    aside = Aside(connection, queue)
    handler = _with_policies(handler, aside)
    async with _arrivals(connection, queue, stopping, prefetch) as arrived:
        while (first := await arrived.get()) is not None:
            messages = [first]
            while len(messages) < batch and not arrived.empty():
                another = arrived.get_nowait()
                if another is None:
                    arrived.put_nowait(None)  # the end, for the loop outside
                    break
                messages.append(another)
            await _work(messages, handler, aside, read, in_order=True)
            if stopping.is_set():
                return
        _expect(stopping, queue)


async def consume_each(
    connection: AbstractConnection, queue: topology.Queue, handler: Handler, stopping: asyncio.Event, *, prefetch: int
) -> None:
    """Like `consume`, but every message on its own and all of them at once, as far as `prefetch` allows."""
    aside = Aside(connection, queue)
    handler = _with_policies(handler, aside)
    async with _arrivals(connection, queue, stopping, prefetch) as arrived, asyncio.TaskGroup() as working:
        while (message := await arrived.get()) is not None:
            working.create_task(_work([message], handler, aside, plainly))
        _expect(stopping, queue)


def _with_policies(handler: Handler, aside: Aside) -> Handler:
    for policy in reversed(POLICIES):
        handler = policy(handler, aside)
    return handler


@asynccontextmanager
async def _arrivals(
    connection: AbstractConnection, queue: topology.Queue, stopping: asyncio.Event, prefetch: int
) -> AsyncIterator[asyncio.Queue[AbstractIncomingMessage | None]]:
    """What arrives, and None at the end: when we stop, or when the broker has ended the channel or the consumer."""
    arrived: asyncio.Queue[AbstractIncomingMessage | None] = asyncio.Queue()
    with as_lost():
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=prefetch)
        declared = await topology.find(channel, queue)
        channel.close_callbacks.add(lambda *_: arrived.put_nowait(None))
        # aio-pika tells nobody when the broker cancels a consumer because its queue was deleted; the layer below does.
        (await channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(lambda *_: arrived.put_nowait(None))
        await declared.consume(arrived.put)
        watching = asyncio.ensure_future(stopping.wait())
        watching.add_done_callback(lambda _: arrived.put_nowait(None))
        try:
            yield arrived
        finally:
            watching.cancel()
            # The connection may live on, as a former leader's does: a consumer left on it would go on taking messages
            # that nobody works on. Closed, its channel gives them back.
            with suppress(TimeoutError, *BROKEN):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await channel.close()


def _expect(stopping: asyncio.Event, queue: topology.Queue) -> None:
    if not stopping.is_set():
        raise ConnectionError(f"the broker ended the consumer of {queue.name}")


async def _work(
    messages: Sequence[AbstractIncomingMessage], handler: Handler, aside: Aside, read: Reader, *, in_order: bool = False
) -> None:
    readable = [delivery for message in messages if (delivery := await _read(message, aside, read)) is not None]
    if readable:
        await handler(readable)
        await _acknowledge(readable, in_order)


async def _read(message: AbstractIncomingMessage, aside: Aside, read: Reader) -> Delivery | None:
    try:
        return Delivery(message, read(message))
    except MalformedMessage as error:
        await aside.put(message, error)
        return None


async def _acknowledge(handled: Sequence[Delivery], in_order: bool) -> None:
    """One word for all where nothing older is in hand; those that were set aside or given back are settled already."""
    open_ = [delivery.message for delivery in handled if not delivery.message.processed]
    for message in open_[-1:] if in_order else open_:
        await message.ack(multiple=in_order)
