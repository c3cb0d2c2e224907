"""Sending messages, each confirmed by the broker."""

from collections.abc import Mapping
from typing import cast
from uuid import uuid4

from aio_pika import DeliveryMode
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import DeliveryError, PublishError
from aiormq import spec
from aiormq.channel import Channel as Wire

from pathfinder import telemetry
from pathfinder.broker.connection import BROKEN, BrokerLost, as_lost
from pathfinder.domain.errors import PathfinderError

#: How long the broker may take to confirm a message.
CONFIRM_SECONDS = 10


class Unroutable(PathfinderError):
    """No queue is bound for the message."""


class QueueFull(PathfinderError):
    """A queue the message is bound for holds as much as it may: not lost, but not taken either. Try again later."""


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
        properties = spec.Basic.Properties(
            content_type="application/json",
            message_id=message_id or str(uuid4()),
            headers=dict(headers or {}),
            delivery_mode=DeliveryMode.PERSISTENT if persistent else DeliveryMode.NOT_PERSISTENT,
        )
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
        except PublishError as error:
            telemetry.PUBLISH_FAILED.labels(exchange).inc()
            raise Unroutable(f"no queue is bound to {exchange} for {routing_key}") from error
        except DeliveryError as error:
            telemetry.PUBLISH_FAILED.labels(exchange).inc()
            raise QueueFull(f"a queue behind {exchange} for {routing_key} is full") from error
        except BROKEN as error:
            telemetry.PUBLISH_FAILED.labels(exchange).inc()
            raise BrokerLost(str(error) or type(error).__name__) from error
        telemetry.PUBLISHED.labels(exchange).inc()
