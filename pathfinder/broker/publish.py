"""Sending messages, each confirmed by the broker."""

import asyncio
from collections import Counter
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
from pathfinder.domain.errors import PathfinderError

#: How long the broker may take to confirm a message.
CONFIRM_SECONDS = 10

#: Of many messages, so many go on the wire before anything else of the process has its turn.
AT_ONCE = 500

#: An exchange, a routing key and a body.
Parcel = tuple[str, str, bytes]


class Unroutable(PathfinderError):
    """No queue is bound for the message."""


class QueueFull(PathfinderError):
    """A queue the message is bound for holds as much as it may: not lost, but not taken either. Try again later."""


Refusal = Unroutable | QueueFull


class Publisher:
    """A confirming channel. `publish` returns once the broker has the message, and raises if it has not."""

    def __init__(self, channel: AbstractChannel, wire: Wire) -> None:
        self.channel = channel
        self._wire = wire

    @classmethod
    async def open(cls, connection: AbstractConnection) -> "Publisher":
        """A publisher on a channel of its own."""
        return await cls.on(await connection.channel(publisher_confirms=True, on_return_raises=True))

    @classmethod
    async def on(cls, channel: AbstractChannel) -> "Publisher":
        """A publisher on a channel that confirms."""
        return cls(channel, cast(Wire, await channel.get_underlay_channel()))

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

    async def publish_all(self, parcels: Sequence[Parcel], mandatory: Collection[str] = ()) -> list[Refusal | None]:
        """Publish many in this order, and wait for all confirms; for each, what kept it alone from its queue.

        Those to the `mandatory` exchanges need a queue. Raises BrokerLost: some may have come through.
        """
        confirms: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                with as_lost():
                    for start in range(0, len(parcels), AT_ONCE):
                        confirms += await self._write(parcels[start : start + AT_ONCE], mandatory)
                        await asyncio.sleep(0)
                    results = await asyncio.gather(*confirms, return_exceptions=True)
        except BROKEN as error:
            for confirm in confirms:
                confirm.cancel()
            raise _failure(error, "the broker", "all") from error
        refusals = [
            _failure(result, exchange, key) if isinstance(result, BaseException) else None
            for (exchange, key, _), result in zip(parcels, results, strict=True)
        ]
        if lost := next((one for one in refusals if isinstance(one, BrokerLost)), None):
            raise lost
        taken = Counter(parcel[0] for parcel, refusal in zip(parcels, refusals, strict=True) if refusal is None)
        for exchange, count in taken.items():
            telemetry.PUBLISHED.labels(exchange).inc(count)
        return cast(list[Refusal | None], refusals)

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
