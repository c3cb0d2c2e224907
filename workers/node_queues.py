"""The queues of nodes' commands, which the relay has ready, makes anew, and removes."""

import asyncio
from contextlib import suppress

import structlog

from pathfinder.broker import topology
from pathfinder.broker.publish import Publisher, Silence
from pathfinder.store import outbox

log = structlog.get_logger()

#: How long RabbitMQ may take to have a node's queue ready, or to remove it: up to 5 s where that has no leader.
QUEUE_SECONDS = 10


async def declare(publisher: Publisher, hostnames: set[str]) -> None:
    """Have the queues of nodes ready. One that another version made stays while it is used: its node can work so."""
    for hostname in hostnames:
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                await _declare_one(publisher, hostname)
        except TimeoutError as error:
            raise Silence({(outbox.QUEUES, hostname)}) from error


async def _declare_one(publisher: Publisher, hostname: str) -> None:
    queue = topology.node_queue(hostname)
    try:
        await topology.declare(publisher.channel, queue)
    except topology.QueueDiffers as differs:
        log.warning("a node's queue is another", node=hostname, reason=str(differs))
        with suppress(topology.QueueDiffers):  # unused, it was removed
            await topology.declare(publisher.channel, queue)
        await publisher.resume()


async def renew(publisher: Publisher, hostname: str) -> bool:
    """Whether a node's queue that does not answer could be removed and made anew.

    What it held, the node's next inventory brings again. A healthy one that is hit, because RabbitMQ was slow for
    long, costs no more than that.
    """
    queue, other = topology.node_queue(hostname), await publisher.another()
    try:
        async with asyncio.timeout(QUEUE_SECONDS):
            await other.channel.queue_delete(queue.name)
            await topology.declare(other.channel, queue)
            await other.channel.close()
    except TimeoutError:
        publisher.stuck = True
        return False
    log.warning("a node's queue did not answer and was made anew", node=hostname)
    return True


async def retire(publisher: Publisher, hostnames: set[str]) -> None:
    """Remove the queues of deleted nodes; one that is gone already is fine."""
    for hostname in hostnames:
        await publisher.channel.queue_delete(topology.node_queue(hostname).name)
        log.info("queue of a deleted node removed", node=hostname)
