"""Bounded queues: a full one holds up nobody else, nothing is lost, and none stays behind."""

import asyncio
from functools import partial
from uuid import uuid4

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractQueue
from aio_pika.exceptions import ChannelNotFoundEntity
from sqlalchemy import text
from workbench import Fleet, OneByOne, eventually, member, relaying

import workers.agent.reporting
import workers.relay
from pathfinder.bootstrap import Process
from pathfinder.broker import publish, topology
from pathfinder.broker.connection import Broker, BrokerLost
from pathfinder.broker.publish import Publisher, QueueFull, Unroutable
from pathfinder.controllers.holding import Holding
from pathfinder.domain.errors import NotFound
from pathfinder.domain.messages import Command, Envelope, Exchange, Report, decode, encode
from pathfinder.store import journal, nodes, outbox, overview, situation
from workers.agent.reporting import Reporter


def command(subject: str) -> Envelope:
    """A command for whoever."""
    return Envelope(Command.PROVISION, "c", subject, body={"hostname": "web"})


async def put(process: Process, node: str, *subjects: str) -> None:
    """Commands into the outbox, one row each."""
    async with process.database.begin() as tx:
        for subject in subjects:
            await journal.record(tx, [], {node: [command(subject)]})


async def waiting(process: Process) -> list[str]:
    """The routing keys of the rows in the outbox, oldest first."""
    async with process.database.begin() as tx:
        return list((await tx.execute(text("SELECT routing_key FROM outbox ORDER BY id"))).scalars())


async def fill(channel: AbstractChannel, exchange: str, key: str, body: bytes) -> int:
    """Publish until the queue refuses; how many it took. Its bound is soft."""
    publisher, taken = await Publisher.on(channel), 0
    while True:
        try:
            await publisher.publish(exchange, key, body)
        except QueueFull:
            return taken
        taken += 1
        assert taken < 1000


async def drained(queue: AbstractQueue, found: list[str]) -> bool:
    """Take what is there, and note what it is about; whether there was nothing more."""
    message = await queue.get(fail=False, no_ack=True)
    if message is not None:
        found += [one.subject for one in decode(message.body)]
    return message is None


async def test_a_full_queue_holds_up_its_own_node_alone_and_nothing_is_lost(
    process: Process, broker_url: str, channel: AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other nodes' commands flow past; once it is drained, those that were held arrive, in order."""
    monkeypatch.setattr(topology, "NODE_LENGTH", 3)
    monkeypatch.setattr(outbox, "BATCH", 4)
    full, free = (f"{name}-{uuid4().hex[:6]}" for name in ("full", "free"))
    queues = {name: await topology.declare(channel, topology.node_queue(name)) for name in (full, free)}
    early = await fill(channel, Exchange.COMMANDS, full, encode([command("early")]))
    held = [f"held-{number}" for number in range(10)]
    flowing = [f"free-{number}" for number in range(10)]
    await put(process, full, *held)  # more than a batch of them, and older than the others'
    await put(process, free, *flowing)

    async with relaying(process, broker_url):
        arrived: list[str] = []

        async def all_there() -> bool:
            await drained(queues[free], arrived)
            return len(arrived) >= len(flowing)

        await eventually(all_there)
        assert arrived == flowing
        assert await waiting(process) == [full] * len(held)

        late: list[str] = []

        async def everything() -> bool:
            await drained(queues[full], late)
            return set(held) <= set(late)

        await eventually(everything, 30)

    assert late.count("early") == early
    assert list(dict.fromkeys(one for one in late if one != "early")) == held
    assert await waiting(process) == []
    for queue in queues.values():
        await channel.queue_delete(queue.name)


async def test_a_relay_whose_held_messages_went_elsewhere_sleeps_again(
    process: Process, channel: AbstractChannel
) -> None:
    """Another relay published them, or they were removed: nothing is left to come back for."""

    class Full(OneByOne):
        """Refuses everything."""

        async def publish(self, *_: object, **__: object) -> None:
            """Refuse it."""
            raise QueueFull("full")

    publisher, holding = Full(channel, {}), Holding()
    clock = asyncio.get_running_loop().time
    await put(process, "full", "1")
    await workers.relay.publish_some(process, publisher, holding)
    assert holding.next(clock()) is not None
    async with process.database.begin() as tx:
        await tx.execute(text("DELETE FROM outbox"))

    async def due() -> bool:
        return not holding.ways(clock())

    await eventually(due)
    await workers.relay.publish_some(process, publisher, holding)

    assert holding.next(clock()) is None


async def test_rows_that_were_put_back_keep_their_place(process: Process) -> None:
    """Before those that were written later, and as old as they are."""
    await put(process, "a", "1")
    await put(process, "b", "2")
    async with process.database.begin() as tx:
        rows = await outbox.take(tx)
        await outbox.put_back(tx, rows[:1])
    await put(process, "c", "3")

    async with process.database.begin() as tx:
        again = await outbox.take(tx)

    assert again[0] == rows[0]
    assert [one.routing_key for one in again] == ["a", "c"]


async def test_what_a_full_queue_holds_up_is_no_backlog(process: Process) -> None:
    """It waits for one node, and says nothing of the relay: nobody else is refused for it. It is told of apart."""
    await put(process, "full", "1")
    async with process.database.begin() as tx:
        await outbox.put_back(tx, await outbox.take(tx))
        await tx.execute(text("UPDATE outbox SET created_at = now() - interval '1 h'"))

        assert await outbox.waiting(tx, 10) == 0
        assert (await situation.read(tx, None, 0.0, None)).outbox_oldest == 0
        seen = (await overview.glance(tx)).outbox
        assert (seen.rows, seen.held, seen.oldest_seconds) == (0, 1, 0)


async def test_a_report_waits_while_the_recorders_queue_is_full(
    process: Process, broker_url: str, channel: AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent keeps it and tries again; progress is let go."""
    tries: list[int] = []
    monkeypatch.setattr(workers.agent.reporting, "backoff", lambda attempt: tries.append(attempt) or 0.01)
    name = f"reports-{uuid4().hex[:6]}"
    arguments = {"x-queue-type": "quorum", "x-max-length": 1, "x-overflow": "reject-publish"}
    queue = await channel.declare_queue(name, durable=True, arguments=arguments)
    await queue.bind(Exchange.REPORTS, f"{Report.DELETED}.#")
    await queue.bind(Exchange.REPORTS, f"{Report.PROGRESS}.#")
    await fill(channel, Exchange.REPORTS, Report.DELETED, encode([command("early")]))
    membership = member("node", "node-01", "c")
    async with await Broker(broker_url, "test")._connect() as connection:
        reporter = Reporter(await Publisher.open(connection), membership)
        await reporter.about(command("web"), Report.PROGRESS, stage="image", percent=1)
        assert tries == []
        reporting = asyncio.create_task(reporter.about(command("web"), Report.DELETED))

        async def refused() -> bool:
            return len(tries) >= 2

        await eventually(refused)
        found: list[str] = []

        async def there() -> bool:
            await drained(queue, found)
            return "web" in found

        await eventually(there)
        await reporting
    assert found.count("web") == 1
    await queue.delete(if_unused=False, if_empty=False)
    await (await channel.get_queue(topology.RECORDER.name)).purge()


async def exists(broker_url: str, name: str, there: bool) -> bool:
    """Whether a queue is there as expected; asked over a channel of its own, since a no ends the channel."""
    async with await Broker(broker_url, "test")._connect() as connection:
        try:
            await (await connection.channel()).declare_queue(name, passive=True)
        except ChannelNotFoundEntity:
            return not there
        return there


async def test_the_queue_of_a_deleted_node_is_removed_with_what_is_in_it(
    process: Process, broker_url: str, channel: AbstractChannel, fleet: Fleet
) -> None:
    """Also while the broker is away at first; and late commands do not bring it back."""
    name = f"gone-{uuid4().hex[:6]}"
    queue = topology.node_queue(name)
    await fleet.node(name)
    await topology.declare(channel, queue)
    async with process.database.begin() as tx:
        await nodes.delete(tx, await nodes.find(tx, fleet.cluster_id, name), "test", "")
    async with relaying(process, broker_url):
        await eventually(partial(exists, broker_url, queue.name, there=False))
        await put(process, name, "late")

        async def empty() -> bool:
            return await waiting(process) == []

        await eventually(empty)
        assert await exists(broker_url, queue.name, there=False)


async def test_the_queue_of_a_node_that_came_back_meanwhile_is_kept(
    process: Process, broker_url: str, channel: AbstractChannel, fleet: Fleet
) -> None:
    """Its agent is consuming it."""
    name = f"back-{uuid4().hex[:6]}"
    queue = await topology.declare(channel, topology.node_queue(name))
    await fleet.node(name)
    async with process.database.begin() as tx:
        await nodes.delete(tx, await nodes.find(tx, fleet.cluster_id, name), "test", "")
    with pytest.raises(NotFound):
        async with process.database.begin() as tx:
            await nodes.find(tx, fleet.cluster_id, name)
    await fleet.node(name)

    async with relaying(process, broker_url):

        async def empty() -> bool:
            return await waiting(process) == []

        await eventually(empty)
    assert await exists(broker_url, queue.name, there=True)
    await channel.queue_delete(queue.name)


async def declaring(broker_url: str, queue: topology.Queue, errors: list[str]) -> None:
    """Declare a queue as a role does, until it is right."""
    stopping = asyncio.Event()

    async def serve(connection: AbstractConnection) -> None:
        try:
            await topology.declare(await connection.channel(), queue)
            stopping.set()
        except topology.QueueDiffers as error:
            errors.append(str(error))
            raise

    async with asyncio.timeout(30):
        await Broker(broker_url, "test").run(serve, stopping)


async def test_an_unused_queue_of_another_version_is_made_anew(
    broker_url: str, channel: AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upgrade that changes bounds needs no hand."""
    queue = topology.node_queue(f"old-{uuid4().hex[:6]}")
    await topology.declare(channel, queue)
    monkeypatch.setattr(topology, "NODE_LENGTH", 7)
    errors: list[str] = []

    await declaring(broker_url, topology.node_queue(queue.keys[0]), errors)

    assert len(errors) == 1
    assert "made anew" in errors[0]
    await channel.queue_delete(queue.name)


async def test_a_queue_of_another_version_in_use_is_left_and_named_with_what_to_do(
    broker_url: str, channel: AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until its consumers are gone; no role ends because of it."""
    queue = topology.node_queue(f"old-{uuid4().hex[:6]}")
    declared = await topology.declare(channel, queue)

    async def ignore(_: object) -> None: ...

    tag = await declared.consume(ignore)
    monkeypatch.setattr(topology, "NODE_LENGTH", 7)
    errors: list[str] = []
    running = asyncio.create_task(declaring(broker_url, topology.node_queue(queue.keys[0]), errors))

    async def refused() -> bool:
        return len(errors) >= 2

    await eventually(refused)
    assert f"rabbitmqctl delete_queue {queue.name}" in errors[0]
    await declared.cancel(tag)
    await running
    await channel.queue_delete(queue.name)


@pytest.mark.parametrize("queue", [*topology.SHARED, topology.node_queue("any"), topology.hints_queue("any")])
def test_every_queue_has_a_bound(queue: topology.Queue) -> None:
    """Nothing grows without end, and the topology's table names each."""
    assert "x-max-length" in queue.arguments
    assert queue.name.removesuffix(".any") in (topology.__doc__ or "") or not queue.durable


async def test_a_new_queue_that_refuses_at_first_does_not_end_the_relay(
    process: Process, fleet: Fleet, channel: AbstractChannel
) -> None:
    """As it does just after the broker came back: the commands wait in the outbox, and go with the next try."""
    await fleet.node("node-new")
    async with process.database.begin() as tx:
        await tx.execute(text("DELETE FROM outbox"))
    await put(process, "node-new", "first")
    refusals = [Unroutable("no queue"), QueueFull("no leader yet")]

    class Reluctant(OneByOne):
        """Refuses twice."""

        async def publish(self, *_: object, **__: object) -> None:
            """Take it, once the refusals are used up."""
            if refusals:
                raise refusals.pop(0)

    publisher = Reluctant(channel, {})
    await workers.relay.publish_some(process, publisher)
    assert await waiting(process) == ["node-new"]

    await workers.relay.publish_some(process, publisher)
    assert await waiting(process) == []
    await channel.queue_delete(topology.node_queue("node-new").name)


async def test_of_many_messages_each_is_told_what_kept_it(
    channel: AbstractChannel, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that a full queue refuses and one without a queue: all others are taken, in their order."""
    monkeypatch.setattr(topology, "NODE_LENGTH", 1)
    await topology.declare(channel, topology.node_queue("node-full"))
    monkeypatch.undo()
    queue = await topology.declare(channel, topology.node_queue("node-free"))
    body = encode([command("late")])
    await fill(channel, Exchange.COMMANDS, "node-full", body)
    wanted = [str(number) for number in range(2 * publish.AT_ONCE + 1)]
    free = [(Exchange.COMMANDS, "node-free", encode([command(one)])) for one in wanted]
    others = [(Exchange.COMMANDS, "node-full", body), (Exchange.COMMANDS, "gone", body), (Exchange.EVENTS, "x", body)]

    async with await aio_pika.connect(broker_url) as connection:
        publisher = await Publisher.open(connection)
        refusals = await publisher.publish_all([*free, *others], mandatory=(Exchange.COMMANDS,))

    assert [type(one) for one in refusals[len(free) :]] == [QueueFull, Unroutable, type(None)]
    assert not any(refusals[: len(free)])
    found: list[str] = []
    while not await drained(queue, found):
        pass
    assert found == wanted
    for name in ("node-full", "node-free"):
        await channel.queue_delete(topology.node_queue(name).name)


async def test_a_broker_that_goes_while_many_are_published_is_lost_not_refusing(broker_url: str) -> None:
    """Nobody may take what was not confirmed for published."""
    connection = await aio_pika.connect(broker_url)
    publisher = await Publisher.open(connection)
    await connection.close()

    with pytest.raises(BrokerLost):
        await publisher.publish_all([(Exchange.EVENTS, "x", b"[]")])
