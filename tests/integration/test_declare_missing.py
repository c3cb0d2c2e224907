"""Agents come by the hundred: they ask one question where everything is declared already."""

from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import ChannelNotFoundEntity

from pathfinder.broker import topology
from pathfinder.domain.messages import Exchange


async def test_what_nobody_declared_yet_is_declared(channel: AbstractChannel) -> None:
    """An agent may be the first whom a new RabbitMQ sees."""
    await channel.exchange_delete(Exchange.DEAD)
    for queue in topology.SHARED:
        await channel.queue_delete(queue.name)

    await topology.declare_missing(channel)

    for queue in topology.SHARED:
        assert (await channel.declare_queue(queue.name, passive=True)).name == queue.name


async def test_what_is_declared_is_left_alone(channel: AbstractChannel) -> None:
    """The queues are those of the roles that consume them: what they lack is theirs to declare."""
    await channel.queue_delete(topology.DEAD.name)

    await topology.declare_missing(channel)

    assert await is_missing(channel, topology.DEAD.name)


async def is_missing(channel: AbstractChannel, name: str) -> bool:
    """Whether there is no such queue."""
    try:
        await channel.declare_queue(name, passive=True)
    except ChannelNotFoundEntity:
        await channel.reopen()
        return True
    return False
