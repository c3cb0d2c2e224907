"""Setting messages aside: into `pathfinder.dead`, with the reason."""

import asyncio

import structlog
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from pathfinder import telemetry
from pathfinder.broker import topology
from pathfinder.broker.connection import backoff
from pathfinder.broker.publish import Publisher, QueueFull, Unroutable
from pathfinder.controllers import dead_letters
from pathfinder.domain.messages import Exchange
from pathfinder.failpoints import point

log = structlog.get_logger()


def deliveries(message: AbstractIncomingMessage) -> int:
    """How often the message was handed out, this time included, as its queue has counted."""
    return int(str(message.headers.get("x-delivery-count") or 0)) + 1


class Aside:
    """Where the messages of one queue go that cannot be processed.

    The message is published with its reason, and acknowledged once the broker has it there: killed in between, it is
    in both places, and is set aside again with the same id. Never in neither.
    """

    def __init__(self, connection: AbstractConnection, queue: topology.Queue) -> None:
        self._connection = connection
        self._queue = queue
        self.label = queue.label
        self._opening = asyncio.Lock()
        self._publisher: Publisher | None = None

    async def put(self, message: AbstractIncomingMessage, error: BaseException) -> None:
        """Set the message aside because of `error`. Raises BrokerLost."""
        about = dead_letters.headers(
            error, self._queue.name, message.exchange or "", message.routing_key or "", deliveries(message)
        )
        log.error(
            "message set aside",
            message_id=message.message_id,
            queue=self._queue.name,
            reason=about[dead_letters.REASON],
            deliveries=about[dead_letters.DELIVERIES],
        )
        telemetry.FAILED.labels(self.label, "set_aside").inc()
        if self._queue is topology.DEAD:  # there is no further place
            await asyncio.sleep(backoff(10))
            await message.reject(requeue=True)
            return
        try:
            publisher = await self._open()
            await publisher.publish(
                Exchange.DEAD, self._queue.name, message.body, message_id=message.message_id, headers=about
            )
        except (Unroutable, QueueFull):
            await message.reject(requeue=False)  # the broker's own way there, without words
        else:
            point("aside.published")
            await message.ack()
            point("aside.acknowledged")

    async def _open(self) -> Publisher:
        async with self._opening:
            if self._publisher is None:
                self._publisher = await Publisher.open(self._connection)
            return self._publisher
