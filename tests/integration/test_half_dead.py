"""Connections that are open while nothing moves: noticed within 15 s, replaced, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from aio_pika.abc import AbstractChannel, AbstractConnection
from proxy import Proxy, proxying
from sqlalchemy import make_url, text
from workbench import Fleet, MakeProcess, eventually
from yarl import URL

from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.connection import Broker
from pathfinder.broker.consume import Delivery, consume
from pathfinder.broker.publish import Publisher
from pathfinder.domain.errors import Unavailable
from pathfinder.domain.messages import Envelope, Exchange, Report, encode
from pathfinder.store import leadership
from pathfinder.store.leadership import Leadership
from workers.leadership import while_leading

#: What is promised, and a little for the machine of the tests.
NOTICED_SECONDS = 15 + 5


@pytest.fixture
async def to_rabbitmq(broker_url: str) -> AsyncIterator[Proxy]:
    """A proxy before RabbitMQ."""
    url = URL(broker_url)
    async with proxying(str(url.host), int(url.port or 5672)) as proxy:
        yield proxy


@pytest.fixture
async def to_postgresql(fresh_url: str) -> AsyncIterator[Proxy]:
    """A proxy before PostgreSQL."""
    url = make_url(fresh_url)
    async with proxying(str(url.host), int(url.port or 5432)) as proxy:
        yield proxy


@pytest.fixture
def behind(make_process: MakeProcess, fresh_url: str, to_postgresql: Proxy) -> Process:
    """A process that reaches PostgreSQL through the proxy."""
    url = make_url(fresh_url).set(host="127.0.0.1", port=to_postgresql.port)
    return make_process(database_url=url.render_as_string(hide_password=False))


async def test_a_silent_connection_to_rabbitmq_is_replaced_and_its_message_delivered_again(
    broker_url: str, to_rabbitmq: Proxy, channel: AbstractChannel
) -> None:
    """`up`, which `/readyz` tells, is false as soon as it is noticed."""
    broker = Broker(str(URL(broker_url).with_host("127.0.0.1").with_port(to_rabbitmq.port)), "test")
    stopping, taken = asyncio.Event(), asyncio.Queue[int]()
    downs: list[bool] = []

    async def handle(_: list[Delivery], number: int) -> None:
        taken.put_nowait(number)
        if number == 1:
            await asyncio.Event().wait()  # in hand when the connection dies

    async def serve(connection: AbstractConnection) -> None:
        downs.append(broker.up)
        handler = partial(handle, number=len(downs))
        await consume(connection, topology.RECORDER, handler, stopping, prefetch=1, batch=1)  # type: ignore[arg-type]

    running = asyncio.create_task(broker.run(serve, stopping))
    report = encode([Envelope(Report.DELETED, "c", "s")])
    exchange = await channel.get_exchange(Exchange.REPORTS, ensure=False)
    await Publisher(channel, {Exchange.REPORTS: exchange}).publish(Exchange.REPORTS, Report.DELETED, report)
    async with asyncio.timeout(10):
        assert await taken.get() == 1
    to_rabbitmq.silence()

    async def down() -> bool:
        return not broker.up

    await eventually(down, NOTICED_SECONDS)
    async with asyncio.timeout(NOTICED_SECONDS):
        assert await taken.get() == 2
    stopping.set()
    await running


async def test_a_pool_of_silent_connections_is_replaced_before_it_is_used(
    behind: Process, to_postgresql: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody notices anything but the wait: idle connections are asked for a sign of life first."""
    monkeypatch.setattr("pathfinder.store.database.IDLE_SECONDS", -1)
    async with behind.database.read() as first, behind.database.read() as second:
        for connection in (first, second):
            await connection.execute(text("SELECT 1"))
    to_postgresql.silence()
    async with asyncio.timeout(NOTICED_SECONDS), behind.database.read() as again:
        assert (await again.execute(text("SELECT 1"))).scalar_one() == 1


async def test_a_transaction_over_a_connection_that_falls_silent_fails_and_the_next_one_works(
    behind: Process, to_postgresql: Proxy
) -> None:
    """What was not committed is for the caller to do again; Unavailable says so."""

    async def write() -> None:
        async with behind.database.begin() as tx:
            await tx.execute(text("SELECT 1"))
            to_postgresql.silence()
            await tx.execute(text("SELECT 1"))

    async with asyncio.timeout(NOTICED_SECONDS):
        with pytest.raises(Unavailable):
            await write()
    async with asyncio.timeout(NOTICED_SECONDS), behind.database.begin() as tx:
        await tx.execute(text("SELECT 1"))


async def test_a_silent_listener_is_replaced(behind: Process, to_postgresql: Proxy) -> None:
    """Else the relay would publish only when it sweeps."""
    heard = asyncio.Event()
    listening = asyncio.create_task(behind.database.listen("test", heard.set))
    async with asyncio.timeout(10):
        await heard.wait()
    to_postgresql.silence()
    with pytest.raises(Unavailable):
        await asyncio.wait_for(listening, NOTICED_SECONDS)


async def test_a_leader_whose_connection_falls_silent_stops_and_another_takes_over(
    process: Process, fleet: Fleet, behind: Process, to_postgresql: Proxy
) -> None:
    """It stops before PostgreSQL gives the lock away."""
    order: list[str] = []
    led: asyncio.Queue[str] = asyncio.Queue()

    async def work(name: str, _: Leadership) -> None:
        led.put_nowait(name)
        try:
            await asyncio.Event().wait()
        finally:
            order.append(f"{name} stops")

    cut_off = asyncio.create_task(while_leading(behind, "test", partial(work, "first")))
    async with asyncio.timeout(10):
        assert await led.get() == "first"
    other = asyncio.create_task(while_leading(process, "test", partial(work, "second")))
    to_postgresql.silence()
    # The first may come back over a new connection, but not while it holds the lock with the old one.
    async with asyncio.timeout(leadership.IDLE_SECONDS + NOTICED_SECONDS):
        await led.get()
    assert order == ["first stops"]
    for task in (cut_off, other):
        task.cancel()
    await asyncio.gather(cut_off, other, return_exceptions=True)


async def test_a_connection_that_was_closed_meanwhile_is_not_noticed_by_whoever_uses_it_next(
    behind: Process, to_postgresql: Proxy
) -> None:
    """As after a restart of PostgreSQL."""
    async with behind.database.read() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
    to_postgresql.cut()

    async def closed() -> bool:
        return bool(driver.is_closed())

    await eventually(closed)
    async with behind.database.read() as again:
        assert (await again.execute(text("SELECT 1"))).scalar_one() == 1
