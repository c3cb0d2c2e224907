"""Sending messages, each confirmed by the broker."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, cast
from uuid import uuid4

from aio_pika import DeliveryMode
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import DeliveryError, PublishError
from aiormq import spec
from aiormq.abc import ChannelFrame
from aiormq.channel import Channel as Wire
from pamqp.header import ContentHeader

from pathfinder import telemetry
from pathfinder.broker.connection import BROKEN, BrokerLost, as_lost
from pathfinder.controllers.holding import Way
from pathfinder.domain.errors import PathfinderError

#: How long the broker may take to confirm a message, and to take many off our hands.
CONFIRM_SECONDS = 10

#: Of many messages, one after the other is confirmed; after so long without any, none is expected any more.
SILENT_SECONDS = 3.0
#: The same on a channel that has nothing else to do.
SILENT_APART_SECONDS = 2.0

#: Channels for what is published apart.
CHANNELS = 100

#: Of many messages, so many go on the wire before anything else of the process has its turn.
AT_ONCE = 500

#: An exchange, a routing key and a body.
Parcel = tuple[str, str, bytes]


class Unroutable(PathfinderError):
    """No queue is bound for the message."""


class QueueFull(PathfinderError):
    """A queue the message is bound for holds as much as it may: not lost, but not taken either. Try again later."""


class Silence(BrokerLost):
    """Nothing was said of messages that went these `ways`, though the connection stands. They may have come through.

    A quorum queue without a leader answers nothing, and has the whole channel wait that talks to it; one that was
    being declared when RabbitMQ was killed may stay so for ever. Which way leads to it, `publish_apart` finds out.
    """

    def __init__(self, ways: Collection[Way]) -> None:
        super().__init__(f"no answer to what was sent {len(ways)} ways")
        self.ways = ways


Refusal = Unroutable | QueueFull | Silence


class Publisher:
    """A confirming channel. `publish` returns once the broker has the message, and raises if it has not.

    `stuck`: one that `publish_apart` opened waits for ever; only the end of the connection ends it, too.
    """

    def __init__(self, channel: AbstractChannel, wire: Wire, connection: AbstractConnection | None = None) -> None:
        self.channel = channel
        self.stuck = False
        self._wire = wire
        self._connection = connection

    @classmethod
    async def open(cls, connection: AbstractConnection) -> "Publisher":
        """A publisher on a channel of its own."""
        return await cls.on(await connection.channel(publisher_confirms=True, on_return_raises=True), connection)

    async def another(self) -> "Publisher":
        """One beside it, on the same connection."""
        if self._connection is None:
            raise ValueError("its connection is not known: it was not made by `open`")
        return await Publisher.open(self._connection)

    @classmethod
    async def on(cls, channel: AbstractChannel, connection: AbstractConnection | None = None) -> "Publisher":
        """A publisher on a channel that confirms."""
        return cls(channel, cast(Wire, await channel.get_underlay_channel()), connection)

    async def resume(self) -> None:
        """Go on over the channel, which a refusal of the broker closed and `topology.declare` opened again."""
        self._wire = cast(Wire, await self.channel.get_underlay_channel())

    async def publish(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        *,
        mandatory: bool = True,
        persistent: bool = True,
        message_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Publish and wait for the confirm.

        Raises Unroutable for a mandatory message without a queue, QueueFull where the broker refused it, BrokerLost
        where no confirm can come any more.
        """
        properties = _properties(message_id, headers, persistent)
        try:
            with as_lost():
                # aio_pika's own `publish` waits until each message is on the wire before it takes the next.
                await self._wire.basic_publish(
                    body,
                    exchange=exchange,
                    routing_key=routing_key,
                    properties=properties,
                    mandatory=mandatory,
                    timeout=CONFIRM_SECONDS,
                    wait=False,
                )
        except BROKEN as error:
            raise _failure(error, exchange, routing_key) from error
        telemetry.PUBLISHED.labels(exchange).inc()

    async def publish_all(
        self, parcels: Sequence[Parcel], mandatory: Collection[str] = (), patience: float | None = None
    ) -> list[Refusal | None]:
        """Publish many in this order, and wait for all confirms; for each, what kept it alone from its queue.

        Those to the `mandatory` exchanges need a queue. Raises BrokerLost: some may have come through; as Silence,
        where `patience` (by default `SILENT_SECONDS`) passed without a word.
        """
        confirms: list[asyncio.Future[Any]] = []
        try:
            with as_lost():
                async with asyncio.timeout(CONFIRM_SECONDS):
                    for start in range(0, len(parcels), AT_ONCE):
                        confirms += await self._write(parcels[start : start + AT_ONCE], mandatory)
                        await asyncio.sleep(0)
                await _end_of_words(confirms, patience or SILENT_SECONDS)
            unsaid = [parcel[:2] for parcel, confirm in zip(parcels, confirms, strict=True) if not confirm.done()]
        except BROKEN as error:
            raise _failure(error, "the broker", "all") from error
        finally:
            for confirm in confirms:
                confirm.cancel()
        if unsaid:
            telemetry.PUBLISH_FAILED.labels("the broker").inc()
            raise Silence(set(unsaid))
        refusals = [
            _failure(why, exchange, key) if (why := _error(confirm)) else None
            for (exchange, key, _), confirm in zip(parcels, confirms, strict=True)
        ]
        if lost := next((one for one in refusals if isinstance(one, BrokerLost)), None):
            raise lost
        taken = Counter(parcel[0] for parcel, refusal in zip(parcels, refusals, strict=True) if refusal is None)
        for exchange, count in taken.items():
            telemetry.PUBLISHED.labels(exchange).inc(count)
        return cast(list[Refusal | None], refusals)

    async def publish_apart(self, parcels: Sequence[Parcel], mandatory: Collection[str] = ()) -> list[Refusal | None]:
        """As `publish_all`, but where nothing is said of a message that is its result: a Silence.

        The ways are spread over `CHANNELS`: what a queue that does not answer keeps waiting is what shares its channel.
        Raises BrokerLost where the broker answers nothing else either, as while its memory or disk is full.
        """
        ways = {way: number for number, way in enumerate(dict.fromkeys(parcel[:2] for parcel in parcels))}
        groups: dict[int, list[int]] = defaultdict(list)
        for index, parcel in enumerate(parcels):
            groups[ways[parcel[:2]] % CHANNELS].append(index)
        results: list[Refusal | None] = [None] * len(parcels)

        async def one(indexes: list[int]) -> None:
            other = await self.another()
            try:
                found = await other.publish_all([parcels[index] for index in indexes], mandatory, SILENT_APART_SECONDS)
            except Silence as silence:
                self.stuck = True
                found = [silence] * len(indexes)
            else:
                await other.channel.close()
            for index, result in zip(indexes, found, strict=True):
                results[index] = result

        await asyncio.gather(*map(one, groups.values()))
        if any(isinstance(result, Silence) for result in results):
            await self._probe()
        return results

    async def _probe(self) -> None:
        """Raise BrokerLost unless the broker answers over this connection."""
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                await (await self.another()).channel.close()
        except BROKEN as error:
            raise BrokerLost("it answers nothing") from error

    async def _write(self, parcels: Sequence[Parcel], mandatory: Collection[str]) -> list[asyncio.Future[Any]]:
        """Put messages on the wire; their confirms.

        What aiormq's `basic_publish` does, for many at once: a task, a timer and a write for each message cost three
        times as much as all that is in it.
        """
        wire, frames, confirms = self._wire, list[Any](), []
        async with wire.lock:
            for exchange, key, body in parcels:
                wire.delivery_tag += 1
                properties = _properties()
                confirm = wire.create_future()
                wire.confirmations[wire.delivery_tag] = confirm
                name = properties.message_id or ""
                wire.message_id_delivery_tag[name] = wire.delivery_tag
                confirm.add_done_callback(partial(_forget, wire, name))
                confirms.append(confirm)
                frames += [
                    spec.Basic.Publish(exchange=exchange, routing_key=key, mandatory=exchange in mandatory),
                    ContentHeader(properties=properties, body_size=len(body)),
                    *wire._split_body(body),
                ]
            await wire.write_queue.put(ChannelFrame.marshall(wire.number, frames))
        return confirms


def _properties(
    message_id: str | None = None, headers: Mapping[str, str] | None = None, persistent: bool = True
) -> spec.Basic.Properties:
    return spec.Basic.Properties(
        content_type="application/json",
        message_id=message_id or str(uuid4()),
        headers=dict(headers or {}),
        delivery_mode=DeliveryMode.PERSISTENT if persistent else DeliveryMode.NOT_PERSISTENT,
    )


async def _end_of_words(confirms: Collection["asyncio.Future[Any]"], patience: float) -> None:
    """Wait until all are done, or for `patience` seconds, and more, none was."""
    waiting, before = set(confirms), len(confirms) + 1
    while waiting and len(waiting) < before:
        before = len(waiting)
        _, waiting = await asyncio.wait(waiting, timeout=patience)


def _error(confirm: "asyncio.Future[Any]") -> BaseException | None:
    """Why a message was not confirmed; a connection that ends cancels whoever waits."""
    return asyncio.CancelledError() if confirm.cancelled() else confirm.exception()


def _forget(wire: Wire, message_id: str, _: "asyncio.Future[Any]") -> None:
    wire.message_id_delivery_tag.pop(message_id, None)


def _failure(error: BaseException, exchange: str, key: str) -> Refusal | BrokerLost:
    """What it means that a message was not confirmed."""
    telemetry.PUBLISH_FAILED.labels(exchange).inc()
    if isinstance(error, PublishError):
        return Unroutable(f"no queue is bound to {exchange} for {key}")
    if isinstance(error, DeliveryError):
        return QueueFull(f"a queue behind {exchange} for {key} is full")
    return BrokerLost(str(error) or type(error).__name__)
