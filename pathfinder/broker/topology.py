"""Every exchange and queue there is, with its bounds and the reason for them.

exchange             type    carries
pathfinder.events    topic   facts, routing key = kind
pathfinder.commands  direct  commands, routing key = node hostname
pathfinder.reports   topic   what agents say, routing key = kind.node_id
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
(an api's own)           classic  1,000, exclusive           what is used where somebody looks; lost with it, too

A queue that refuses loses nothing: its publisher is told (`QueueFull`), keeps the message and comes back. Lengths are
soft: a few messages more get in while the word spreads.

Each role has a part of this: `PARTS` says what it declares, takes and sends, and `permissions` makes of it what its
user at RabbitMQ may. Nodes declare nothing; what they may is in pathfinder/controllers/broker_access.py.

RabbitMQ never changes the arguments of a queue that exists. Who changes one here need not care: an old queue that
nobody consumes is removed and made anew, and while somebody does, `QueueDiffers` says what to do.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractQueue
from aio_pika.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed

from pathfinder.domain.messages import NODE_QUEUE, REPLICAS, REQUESTS, SUPPLY, Exchange, Report

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


#: What the monitor sends to itself through the queue of heartbeats.
MARK = "mark"


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
    #: Whether others than its consumer declare it.
    foreign: bool = False

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
    # `#` is also no word at all: agents of before name no node.
    tuple(f"{kind}.#" for kind in Report if kind not in (Report.HEARTBEAT, Report.USAGE)),
    _quorum("pathfinder.recorder", **{"x-max-length": RECORDER_LENGTH, "x-overflow": "reject-publish"}),
)
HEARTBEATS = Queue(
    "pathfinder.heartbeats",
    Exchange.REPORTS,
    (f"{Report.HEARTBEAT}.#", f"{MARK}.#"),
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


#: What the names of an api's own queues begin with.
HINTS_QUEUE = "pathfinder.api."


def node_queue(hostname: str) -> Queue:
    """The queue of a node's commands: it outlives the agent, so that commands wait for it.

    A relay declares it, once the node is registered: whoever may bind a queue may bind it to another node's commands.
    """
    name = f"{NODE_QUEUE}{hostname}"
    bounds = {"x-max-length": NODE_LENGTH, "x-overflow": "reject-publish", "x-expires": NODE_EXPIRES_MS}
    return Queue(name, Exchange.COMMANDS, (hostname,), _quorum(name, **bounds), foreign=True)


def hints_queue(name: str) -> Queue:
    """An api's own queue: every event as a hint to read the log."""
    arguments = {"x-max-length": 10_000}
    return Queue(f"{HINTS_QUEUE}{name}", Exchange.EVENTS, ("#",), arguments, durable=False, exclusive=True)


def usage_queue(name: str) -> Queue:
    """Another of an api: what nodes tell of their use, which they do only while some api says that somebody looks."""
    arguments, keys = {"x-max-length": 1_000}, (f"{Report.USAGE}.#",)
    return Queue(f"{HINTS_QUEUE}usage.{name}", Exchange.REPORTS, keys, arguments, durable=False, exclusive=True)


@dataclass(frozen=True, slots=True)
class Part:
    """What a role has to do with RabbitMQ, besides setting messages aside, which each may.

    It declares and consumes `queues` from the beginning; as need be also those of a `family`, whose names begin so, and
    which are bound to the exchanges beside it. `sends`: the exchanges it publishes to.
    """

    queues: tuple[Queue, ...] = ()
    family: tuple[str, frozenset[Exchange]] | None = None
    sends: tuple[Exchange, ...] = ()

    @property
    def sources(self) -> set[Exchange]:
        """The exchanges its queues are bound to."""
        return {queue.exchange for queue in self.queues} | (self.family[1] if self.family else frozenset())

    @property
    def exchanges(self) -> set[Exchange]:
        """Those it declares."""
        return {*self.sources, *self.sends, Exchange.DEAD}


#: By role.
PARTS = {
    # It asks nodes what is used, where somebody looks.
    "api": Part(family=(HINTS_QUEUE, frozenset({Exchange.EVENTS, Exchange.REPORTS})), sends=(Exchange.COMMANDS,)),
    # What is replayed may also be a report.
    "relay": Part(
        family=(NODE_QUEUE, frozenset({Exchange.COMMANDS})),
        sends=(Exchange.EVENTS, Exchange.COMMANDS, Exchange.REPORTS),
    ),
    "scheduler": Part((SCHEDULER,)),
    "recorder": Part((RECORDER, DEAD)),
    "controller": Part((HEARTBEATS, DEPLOYMENTS), sends=(Exchange.REPORTS,)),  # marks
}


def permissions(role: str) -> dict[str, str]:
    """What the user of a role may in the virtual host: RabbitMQ's `configure`, `write` and `read`, each a pattern.

    To bind a queue is to write to it, and to read from the exchange. Who declares one that sets messages aside has to
    be allowed to read it.
    """
    part = PARTS[role]
    own = [re.escape(queue.name) for queue in part.queues]
    own += [f"{re.escape(part.family[0])}.+"] if part.family else []
    return {
        "configure": _any_of(own, part.exchanges),
        "write": _any_of(own, {*part.sends, Exchange.DEAD}),
        "read": _any_of(own, part.sources),
    }


def _any_of(patterns: list[str], exchanges: Iterable[Exchange]) -> str:
    names = dict.fromkeys([*patterns, *sorted(re.escape(name) for name in exchanges)])
    return f"^({'|'.join(names)})$"


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


async def is_there(connection: AbstractConnection, queue: Queue) -> bool:
    """Whether somebody has declared a queue: a question that needs no permission."""
    async with connection.channel() as channel:
        try:
            await channel.declare_queue(queue.name, passive=True)
        except ChannelNotFoundEntity:
            return False
    return True


async def find(channel: AbstractChannel, queue: Queue) -> AbstractQueue:
    """The queue, to be consumed: declared, unless that is for others, who may not have done so yet."""
    if queue.foreign:
        return await channel.get_queue(queue.name, ensure=False)
    return await declare(channel, queue)


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


def declaring(role: str) -> Callable[[AbstractChannel], Awaitable[None]]:
    """What has ready what a role needs on a new connection.

    Agents declare nothing, so that hundreds may come back at once: each declaration costs RabbitMQ a transaction.
    """

    async def declare_own(channel: AbstractChannel) -> None:
        if part := PARTS.get(role):
            await _declare_exchanges(channel, part.exchanges)
            for queue in part.queues:
                await declare(channel, queue)

    return declare_own


async def declare_all(channel: AbstractChannel) -> None:
    """Declare every exchange and every shared queue."""
    await _declare_exchanges(channel, EXCHANGES)
    for queue in SHARED:
        await declare(channel, queue)


async def _declare_exchanges(channel: AbstractChannel, names: Iterable[Exchange]) -> None:
    for name in names:
        await channel.declare_exchange(name, EXCHANGES[name], durable=True)
