"""Consumers: what happens to messages nobody can read, to handlers that fail, and when the broker ends a queue."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from uuid import uuid4

import pytest
from aio_pika import Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from sqlalchemy import text
from workbench import MakeProcess, eventually
from yarl import URL

import pathfinder.broker.connection as connecting
import pathfinder.broker.consume as consuming
from pathfinder.broker import topology
from pathfinder.broker.connection import Broker
from pathfinder.broker.consume import Delivery, Handler, consume, consume_each
from pathfinder.domain.errors import Contended, MalformedMessage, TooSlow, Unavailable
from pathfinder.domain.messages import Envelope, Exchange, encode
from pathfinder.store import database
from pathfinder.store.database import translated


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between tries are short here."""
    monkeypatch.setattr(consuming, "backoff", lambda _: 0.005)


@pytest.fixture
async def queue(channel: AbstractChannel) -> AsyncIterator[topology.Queue]:
    """A quorum queue of the test's own, with the dead-letter exchange behind it; the dead queue is empty."""
    made = replace(topology.node_queue(f"test-{uuid4().hex[:8]}"), foreign=False)
    await topology.declare(channel, made)
    yield made
    await channel.queue_delete(made.name)


@asynccontextmanager
async def consumer(
    broker_url: str, queue: topology.Queue, handler: Handler, how: Callable[..., object] = consume, **options: int
) -> AsyncIterator[Broker]:
    """A consumer at work until the end of the block."""
    broker, stopping = Broker(broker_url, "test"), asyncio.Event()
    bounds = {"prefetch": 50, "batch": 50} | options if how is consume else {"prefetch": 50} | options

    async def serve(connection: AbstractConnection) -> None:
        await how(connection, queue, handler, stopping, **bounds)  # type: ignore[misc]

    running = asyncio.create_task(broker.run(serve, stopping))
    try:
        yield broker
    finally:
        stopping.set()
        async with asyncio.timeout(30):
            await running


async def send(channel: AbstractChannel, queue: topology.Queue, *bodies: bytes) -> None:
    """Put messages into the queue."""
    exchange = await channel.get_exchange(Exchange.COMMANDS)
    for body in bodies:
        await exchange.publish(Message(body), queue.keys[0])


def body(subject: str) -> bytes:
    """A message with one envelope."""
    return encode([Envelope("provision", "c", subject)])


async def dead(channel: AbstractChannel, count: int) -> list[bytes]:
    """The bodies of the messages in `pathfinder.dead`, once there are that many."""
    queue = await topology.declare(channel, topology.DEAD)
    found: list[bytes] = []

    async def there() -> bool:
        message = await queue.get(fail=False, no_ack=True)
        if message is not None:
            found.append(message.body)
        return len(found) >= count

    await eventually(there)
    return found


class Collecting:
    """A handler that keeps the subjects it was given; `trouble` may raise first."""

    def __init__(self, trouble: Callable[[str], None] = lambda _: None) -> None:
        self.done: list[str] = []
        self.tries: dict[str, int] = {}
        self._trouble = trouble

    async def __call__(self, batch: Sequence[Delivery]) -> None:
        """Handle a batch, whole or not at all."""
        subjects = [one.subject for delivery in batch for one in delivery.envelopes]
        for subject in subjects:
            self.tries[subject] = self.tries.get(subject, 0) + 1
        for subject in subjects:
            self._trouble(subject)
        self.done += subjects

    async def reached(self, *subjects: str) -> bool:
        """Whether all of these are done."""
        return set(subjects) <= set(self.done)


@pytest.mark.parametrize("how", [consume, consume_each])
async def test_a_message_that_is_not_ours_is_set_aside_and_the_others_go_on(
    broker_url: str, channel: AbstractChannel, queue: topology.Queue, how: Callable[..., object]
) -> None:
    """It lands in `pathfinder.dead` as it was, without another try."""
    handler = Collecting()
    await send(channel, queue, body("a"), b"gibberish", body("b"))

    async with consumer(broker_url, queue, handler, how):
        await eventually(partial(handler.reached, "a", "b"))
        assert await dead(channel, 1) == [b"gibberish"]


async def test_a_handler_that_calls_a_message_malformed_has_it_set_aside(
    broker_url: str, channel: AbstractChannel, queue: topology.Queue
) -> None:
    """What only its reader can see to be wrong."""

    def trouble(subject: str) -> None:
        if subject == "bad":
            raise MalformedMessage("no uuid")

    handler = Collecting(trouble)
    bad = body("bad")
    await send(channel, queue, body("a"), bad, body("b"))

    async with consumer(broker_url, queue, handler):
        await eventually(partial(handler.reached, "a", "b"))
        assert await dead(channel, 1) == [bad]
    assert handler.tries["bad"] <= 2  # once in its batch, once alone


async def test_a_message_that_always_fails_is_set_aside_after_its_tries(
    broker_url: str, channel: AbstractChannel, queue: topology.Queue
) -> None:
    """The queue counts; the messages beside it are done meanwhile."""

    def trouble(subject: str) -> None:
        if subject == "poison":
            raise RuntimeError("cannot")

    handler = Collecting(trouble)
    poison = body("poison")
    await send(channel, queue, body("a"), poison, body("b"))

    async with consumer(broker_url, queue, handler):
        await eventually(partial(handler.reached, "a", "b"))
        assert await dead(channel, 1) == [poison]

    assert topology.DELIVERY_LIMIT <= handler.tries["poison"] <= topology.DELIVERY_LIMIT + 2


async def test_while_the_store_is_away_a_message_waits_and_loses_no_try(
    broker_url: str, channel: AbstractChannel, queue: topology.Queue
) -> None:
    """More refusals than it has tries, and it is done all the same."""
    refusals = iter(range(topology.DELIVERY_LIMIT * 3))

    def trouble(_: str) -> None:
        if next(refusals, None) is not None:
            raise Unavailable("PostgreSQL is away")

    handler = Collecting(trouble)
    await send(channel, queue, body("patient"))

    async with consumer(broker_url, queue, handler):
        await eventually(partial(handler.reached, "patient"))

    assert handler.tries["patient"] > topology.DELIVERY_LIMIT
    assert await _count(channel, topology.DEAD) == 0


async def test_a_message_that_postgresql_never_finishes_is_set_aside_and_the_others_go_on(
    broker_url: str, channel: AbstractChannel, queue: topology.Queue
) -> None:
    """It would hold up all behind it for ever otherwise. One that is away in between has taken none of its tries."""
    away = iter(range(2))

    def trouble(subject: str) -> None:
        if subject == "endless":
            raise TooSlow("The statement took too long")
        if subject == "b" and next(away, None) is not None:
            raise Unavailable("PostgreSQL is away")

    handler = Collecting(trouble)
    endless = body("endless")
    await send(channel, queue, body("a"), endless, body("b"))

    async with consumer(broker_url, queue, handler):
        await eventually(partial(handler.reached, "a", "b"))
        assert await dead(channel, 1) == [endless]

    assert handler.tries["endless"] >= topology.DELIVERY_LIMIT * consuming.MOST_SLOW


async def test_a_dead_letter_is_given_back_as_often_as_it_takes(channel: AbstractChannel) -> None:
    """More often than RabbitMQ 4 allows by itself: there is no further place for it."""
    queue = await topology.declare(channel, topology.DEAD)
    await channel.default_exchange.publish(Message(b"sad"), topology.DEAD.name)

    for _ in range(25):
        found: list[AbstractIncomingMessage] = []

        async def there(found: list[AbstractIncomingMessage] = found) -> bool:
            if (message := await queue.get(fail=False)) is not None:
                found.append(message)
            return bool(found)

        await eventually(there)
        await found[0].reject(requeue=True)

    assert topology.DEAD.arguments["x-delivery-limit"] > 0  # below it is none on RabbitMQ 4, and no try at all on 3


async def test_a_statement_that_takes_too_long_is_told_from_a_postgresql_that_is_away(
    make_process: MakeProcess,
) -> None:
    """Whichever side ends it."""
    endless = text("SELECT pg_sleep(60)")
    for patience, settings in ((0.2, {}), (30.0, {"statement_timeout": "50ms"})):
        async with make_process().database.session("test", patience, settings) as connection:
            with pytest.raises(TooSlow), translated():
                await connection.execute(endless)
    nowhere = make_process(database_url="postgresql+asyncpg://nobody@127.0.0.1:9/none").database
    with pytest.raises(Unavailable) as away:
        async with nowhere.begin():
            pass
    assert not isinstance(away.value, TooSlow)


async def test_a_statement_that_waits_for_others_is_told_from_one_that_is_slow(
    make_process: MakeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no message's fault, whatever PostgreSQL calls it: a lock held for too long, or a deadlock."""
    monkeypatch.setitem(database._SETTINGS, "lock_timeout", "100ms")
    holding, waiting = make_process().database, make_process().database
    take = text("SELECT pg_advisory_xact_lock(:key)")
    async with holding.begin() as tx:
        await tx.execute(take, {"key": 1})
        with pytest.raises(Contended, match="held for too long"):
            async with waiting.begin() as other:
                await other.execute(take, {"key": 1})
    with pytest.raises(Contended, match="undid this change"):
        async with waiting.begin() as other:
            await other.execute(text("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$"))
    assert database.LOCK_SECONDS < database.STATEMENT_SECONDS


async def _count(channel: AbstractChannel, queue: topology.Queue) -> int:
    declared = await channel.declare_queue(queue.name, passive=True)
    return declared.declaration_result.message_count or 0


@pytest.mark.parametrize("how", [consume, consume_each])
async def test_a_consumer_comes_back_when_its_queue_was_deleted(
    broker_url: str, channel: AbstractChannel, queue: topology.Queue, how: Callable[..., object]
) -> None:
    """The broker cancels it; it declares the queue anew."""
    handler = Collecting()
    async with consumer(broker_url, queue, handler, how):
        await send(channel, queue, body("before"))
        await eventually(partial(handler.reached, "before"))

        await channel.queue_delete(queue.name)

        async def again() -> bool:
            await send(channel, queue, body("after"))
            return "after" in handler.done

        await eventually(again)


async def test_a_queue_deleted_while_a_batch_is_in_hand_is_noticed(
    broker_url: str, channel: AbstractChannel, queue: topology.Queue
) -> None:
    """The sign arrives between the messages of a batch and is not lost with them."""
    release, busy = asyncio.Event(), asyncio.Event()
    done: list[str] = []

    async def handler(batch: Sequence[Delivery]) -> None:
        busy.set()
        await release.wait()
        done.extend(one.subject for delivery in batch for one in delivery.envelopes)

    async with consumer(broker_url, queue, handler, batch=3):
        await send(channel, queue, *(body(str(number)) for number in range(5)))
        await busy.wait()
        await channel.queue_delete(queue.name)
        release.set()

        async def again() -> bool:
            await send(channel, queue, body("after"))
            return "after" in done

        await eventually(again)


async def test_a_consumer_comes_back_when_its_channel_was_closed(
    broker_url: str, channel: AbstractChannel, queue: topology.Queue
) -> None:
    """As after a precondition that failed, or an operator's hand."""
    handler = Collecting()
    connections: list[AbstractConnection] = []
    stopping, broker = asyncio.Event(), Broker(broker_url, "test")

    async def serve(connection: AbstractConnection) -> None:
        connections.append(connection)
        await consume(connection, queue, handler, stopping, prefetch=10, batch=10)

    running = asyncio.create_task(broker.run(serve, stopping))
    await send(channel, queue, body("before"))
    await eventually(partial(handler.reached, "before"))

    await connections[0].transport.connection.channels[max(connections[0].transport.connection.channels)].close()  # type: ignore[union-attr]

    await send(channel, queue, body("after"))
    await eventually(partial(handler.reached, "after"))
    assert len(connections) == 2
    stopping.set()
    await running


class Wire:
    """A way to RabbitMQ that can be cut."""

    def __init__(self, url: str) -> None:
        self._host, self._port = str(URL(url).host), URL(url).port or 5672
        self._ends: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    async def join(self) -> None:
        """Let connections through, at the same port as before."""
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """End every connection, and accept none."""
        assert self._server is not None
        self._server.close()
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, beyond = await asyncio.open_connection(self._host, self._port)
        self._ends += [writer, beyond]
        await asyncio.gather(_pump(reader, beyond), _pump(there, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


async def test_a_consumer_comes_back_when_the_broker_was_away(
    broker_url: str, channel: AbstractChannel, queue: topology.Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart of the broker looks like this from here; `up` tells it."""
    monkeypatch.setattr(connecting, "backoff", lambda _: 0.01)
    wire, handler = Wire(broker_url), Collecting()
    await wire.join()
    through = str(URL(broker_url).with_port(wire.port))
    async with consumer(through, queue, handler) as broker:

        async def up() -> bool:
            return broker.up

        async def down() -> bool:
            return not broker.up

        for number in range(2):
            await send(channel, queue, body(str(number)))
            await eventually(partial(handler.reached, str(number)))
            await eventually(up)
            await wire.cut()
            await eventually(down)
            await wire.join()
        await send(channel, queue, body("after"))
        await eventually(partial(handler.reached, "after"))
    await wire.cut()


async def test_a_batch_keeps_the_order_of_arrival_and_its_bound(
    broker_url: str, channel: AbstractChannel, queue: topology.Queue
) -> None:
    """Up to `batch` at once."""
    sizes: list[int] = []
    handler = Collecting()

    async def handle(batch: Sequence[Delivery]) -> None:
        sizes.append(len(batch))
        await handler(batch)

    wanted = [str(number) for number in range(25)]
    await send(channel, queue, *map(body, wanted))
    async with consumer(broker_url, queue, handle, batch=7):
        await eventually(partial(handler.reached, *wanted))

    assert handler.done == wanted
    assert max(sizes) <= 7


async def test_stopping_finishes_the_work_in_hand(
    broker_url: str, channel: AbstractChannel, queue: topology.Queue
) -> None:
    """It is acknowledged: nobody else gets it again."""
    begun, release = asyncio.Event(), asyncio.Event()

    async def handler(_: Sequence[Delivery]) -> None:
        begun.set()
        await release.wait()

    await send(channel, queue, body("in hand"))
    async with consumer(broker_url, queue, handler):
        await begun.wait()
        asyncio.get_running_loop().call_later(0.05, release.set)

    async def empty() -> bool:
        return await _count(channel, queue) == 0

    await eventually(empty)
