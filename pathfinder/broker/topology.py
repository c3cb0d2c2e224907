"""Every exchange and queue there is, with its bounds and the reason for them.

exchange             type    carries
pathfinder.events    topic   facts, routing key = kind
pathfinder.commands  direct  commands, routing key = node hostname
pathfinder.reports   topic   what agents say, routing key = kind
pathfinder.dead      topic   messages nobody could process, routing key = the queue they came from

queue                    type     bound                      why
pathfinder.scheduler     quorum   100,000, drops the oldest  hints: the sweep finds what they told of
pathfinder.recorder      quorum   100,000, then refuses      reports are work done: agents keep them and try again
pathfinder.heartbeats    quorum   15 s, 50,000               an old heartbeat says nothing; a classic queue would be
                                                             away with its broker node, and every node would go DOWN
pathfinder.deployments   quorum   10,000, drops the oldest   hints: what is to be looked at is in the store
pathfinder.node.<node>   quorum   2,000, then refuses        commands wait in the outbox, only those of this node
                                  7 days without an agent    the node's next inventory brings them again
pathfinder.dead          quorum   10,000, drops the oldest   on the way to the table of dead letters
(an api's own)           classic  10,000, exclusive          hints to read the log; lost with the connection

A queue that refuses loses nothing: its publisher is told (`QueueFull`), keeps the message and comes back. Lengths are
soft: a few messages more get in while the word spreads.

RabbitMQ never changes the arguments of a queue that exists. Who changes one here need not care: an old queue that
nobody consumes is removed and made anew, and while somebody does, `QueueDiffers` says what to do.
"""

from dataclasses import dataclass, field
from typing import Any

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractQueue
from aio_pika.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed

from pathfinder.domain.messages import REPLICAS, REQUESTS, SUPPLY, Exchange, Report

EXCHANGES = {
    Exchange.EVENTS: ExchangeType.TOPIC,
    Exchange.COMMANDS: ExchangeType.DIRECT,
    Exchange.REPORTS: ExchangeType.TOPIC,
    Exchange.DEAD: ExchangeType.TOPIC,
}

#: A message that failed this often is set aside in `pathfinder.dead` by its consumer, which knows why.
DELIVERY_LIMIT = 5

#: One that was given back this often is set aside by its queue. More than the above, because a consumer that dies, or
#: loses its connection, gives back everything it had fetched: what lay beside a poison message is not at fault.
RETURN_LIMIT = 10

#: For a queue that never sets anything aside. A number, because no limit is another one with each RabbitMQ: since 4.0
#: none given is 20, after which a message is dropped, and -1, which is none there, is 0 before.
NEVER = 2**31 - 1

#: Messages in the recorder's queue, and in a node's, each of which may hold many reports or commands.
RECORDER_LENGTH = 100_000
NODE_LENGTH = 2_000

#: A node's queue that nobody has consumed for so long is removed.
NODE_EXPIRES_MS = 7 * 24 * 3600 * 1000


class QueueDiffers(ConnectionError):
    """A queue is there with other arguments than it should have: another version of Pathfinder made it.

    A ConnectionError, because everything is tried again until the queue is right.
    """


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue: its name, the exchange and keys it is bound to, and its arguments."""

    name: str
    exchange: Exchange
    keys: tuple[str, ...]
    arguments: dict[str, Any] = field(default_factory=dict)
    durable: bool = True
    exclusive: bool = False

    @property
    def label(self) -> str:
        """Its name in metrics; those that live as long as a connection share one."""
        return "pathfinder.api" if self.exclusive else self.name


def _quorum(name: str, **extra: Any) -> dict[str, Any]:
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": RETURN_LIMIT,
        "x-dead-letter-exchange": Exchange.DEAD,
        "x-dead-letter-routing-key": name,
        **extra,
    }


SCHEDULER = Queue(
    "pathfinder.scheduler",
    Exchange.EVENTS,
    tuple(sorted(REQUESTS | SUPPLY)),
    _quorum("pathfinder.scheduler", **{"x-max-length": 100_000, "x-overflow": "drop-head"}),
)
RECORDER = Queue(
    "pathfinder.recorder",
    Exchange.REPORTS,
    (
        *(Report.PROVISIONED, Report.PROVISION_FAILED, Report.DELETED, Report.PROGRESS, Report.BOOTSTRAP),
        *(Report.HEALTH, Report.UPDATED, Report.INVENTORY),
    ),
    _quorum("pathfinder.recorder", **{"x-max-length": RECORDER_LENGTH, "x-overflow": "reject-publish"}),
)
HEARTBEATS = Queue(
    "pathfinder.heartbeats",
    Exchange.REPORTS,
    (Report.HEARTBEAT,),
    {"x-queue-type": "quorum", "x-message-ttl": 15_000, "x-max-length": 50_000, "x-overflow": "drop-head"},
)
DEPLOYMENTS = Queue(
    "pathfinder.deployments",
    Exchange.EVENTS,
    (*sorted(REPLICAS), "deployment.*"),
    _quorum("pathfinder.deployments", **{"x-max-length": 10_000, "x-overflow": "drop-head"}),
)
DEAD = Queue(
    "pathfinder.dead",
    Exchange.DEAD,
    ("#",),
    {"x-queue-type": "quorum", "x-delivery-limit": NEVER, "x-max-length": 10_000, "x-overflow": "drop-head"},
)
SHARED = (SCHEDULER, RECORDER, HEARTBEATS, DEPLOYMENTS, DEAD)


def node_queue(hostname: str) -> Queue:
    """The queue of a node's commands: it outlives the agent, so that commands wait for it."""
    name = f"pathfinder.node.{hostname}"
    bounds = {"x-max-length": NODE_LENGTH, "x-overflow": "reject-publish", "x-expires": NODE_EXPIRES_MS}
    return Queue(name, Exchange.COMMANDS, (hostname,), _quorum(name, **bounds))


def hints_queue(name: str) -> Queue:
    """An api's own queue: every event as a hint to read the log."""
    return Queue(name, Exchange.EVENTS, ("#",), {"x-max-length": 10_000}, durable=False, exclusive=True)


async def declare_exchanges(channel: AbstractChannel) -> None:
    """Declare every exchange; declaring again changes nothing."""
    for name, kind in EXCHANGES.items():
        await channel.declare_exchange(name, kind, durable=True)


async def declare(channel: AbstractChannel, queue: Queue) -> AbstractQueue:
    """Declare a queue and bind it; declaring again changes nothing. Raises QueueDiffers."""
    try:
        declared = await channel.declare_queue(
            queue.name, durable=queue.durable, exclusive=queue.exclusive, arguments=queue.arguments
        )
    except ChannelPreconditionFailed as error:
        await channel.reopen()  # the refusal closed it
        raise await _replaced(channel, queue) from error
    for key in queue.keys:
        await declared.bind(queue.exchange, key)
    return declared


async def _replaced(channel: AbstractChannel, queue: Queue) -> QueueDiffers:
    """Remove a queue with other arguments, unless it is used or holds what nothing would bring again."""
    words = f"Queue {queue.name} was made by another version of Pathfinder, with other bounds."
    found = (await channel.declare_queue(queue.name, passive=True)).declaration_result
    if found.consumer_count or (queue.name == DEAD.name and found.message_count):
        return QueueDiffers(
            f"{words} It is still used, or holds dead letters: stop the roles of that version. If this goes on, empty "
            f"and remove it: rabbitmqctl delete_queue {queue.name}"
        )
    await channel.queue_delete(queue.name)
    return QueueDiffers(f"{words} It was removed and is made anew; sweeps and inventories bring what it held again.")


async def declare_all(channel: AbstractChannel) -> None:
    """Declare every exchange and every shared queue."""
    await declare_exchanges(channel)
    for queue in SHARED:
        await declare(channel, queue)


async def declare_missing(channel: AbstractChannel) -> None:
    """The same where nobody has declared anything yet, else one question.

    For agents: hundreds may come back at once, each declaration costs RabbitMQ a transaction, and the roles that
    consume the shared queues declare them anyway.
    """
    try:
        await channel.declare_exchange(list(EXCHANGES)[-1], passive=True)
    except ChannelNotFoundEntity:
        await channel.reopen()  # the refusal closed it
        await declare_all(channel)
