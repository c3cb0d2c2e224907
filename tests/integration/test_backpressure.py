"""Backpressure: too much waiting work refuses creates, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx2
import pytest
from aio_pika import Message
from aio_pika.abc import AbstractChannel
from sqlalchemy import text
from workbench import Fleet, eventually, serving

from api.app import create_app
from api.gauge import QUEUES, Gauge
from api.tail import Tail
from pathfinder import telemetry
from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.connection import Broker
from pathfinder.client import Client
from pathfinder.domain.messages import Envelope, encode
from pathfinder.store import clusters, outbox, tokens

MARK = 4


@pytest.fixture
def gauge(process: Process) -> Gauge:
    """A gauge with low marks."""
    process.settings.backlog_outbox = process.settings.backlog_queue = MARK
    return Gauge(process)


@pytest.fixture
async def api(process: Process, gauge: Gauge) -> AsyncIterator[httpx2.AsyncClient]:
    """An operator's client of an API with that gauge."""
    async with process.database.begin() as tx:
        secret = await tokens.create(tx, "tester", "operator")
    transport = httpx2.ASGITransport(create_app(process, Tail(process), gauge), raise_app_exceptions=False)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://pathfinder/api/v3", headers={"Authorization": f"Bearer {secret}"}
    ) as client:
        yield client


async def fill(process: Process, rows: int) -> None:
    """That many rows in the outbox."""
    async with process.database.begin() as tx:
        await tx.execute(text("DELETE FROM outbox"))
        if rows:
            await outbox.put(tx, [("pathfinder.events", "node.ready", b"[]")] * rows)


async def create(api: httpx2.AsyncClient, name: str) -> int:
    """The status of asking for a container."""
    return (await api.post("/containers", json={"hostname": name})).status_code


async def test_creates_are_refused_from_the_mark_until_below_half_of_it(
    process: Process, api: httpx2.AsyncClient, gauge: Gauge
) -> None:
    """With what to do, and when to come back."""
    seen = []
    for rows in (MARK - 1, MARK, MARK - 1, MARK // 2, MARK // 2 - 1):
        await fill(process, rows)
        await gauge.measure()
        seen.append(await create(api, f"web-{rows}-{len(seen)}"))
    assert seen == [201, 503, 503, 503, 201]

    await fill(process, MARK)
    await gauge.measure()
    answer = await api.post("/containers/batch", json={"containers": [{"hostname": "b"}]})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    document = answer.json()
    assert document["type"] == "/problems/overloaded"
    assert "the outbox" in document["detail"]
    assert "Try again" in document["detail"]


async def test_nothing_but_creates_suffers(
    process: Process, api: httpx2.AsyncClient, gauge: Gauge, fleet: Fleet
) -> None:
    """Looking, deleting, moving and cordoning go on: they are what helps."""
    await fleet.node("node-01")
    await fleet.ask("web-01", "web-02")
    await fill(process, MARK)
    await gauge.measure()
    assert await create(api, "new") == 503

    assert (await api.get("/containers")).status_code == 200
    assert (await api.get("/events")).status_code == 200
    assert (await api.post("/containers/web-01/reschedule")).status_code in (202, 409)
    assert (await api.delete("/containers/web-02")).status_code == 202
    assert (await api.post("/nodes/node-01/cordon")).status_code == 200
    assert (await api.post("/nodes/node-01/uncordon")).status_code == 200
    assert (await api.post("/clusters", json={"name": "other"})).status_code == 201
    assert (await api.get("/dead")).status_code == 200


async def test_who_has_no_token_learns_nothing_of_the_backlog(
    process: Process, api: httpx2.AsyncClient, gauge: Gauge
) -> None:
    """Who asks comes first."""
    await fill(process, MARK)
    await gauge.measure()

    assert (await api.post("/containers", json={"hostname": "a"}, headers={"Authorization": ""})).status_code == 401


@asynccontextmanager
async def watching(broker_url: str, gauge: Gauge, process: Process) -> AsyncIterator[None]:
    """The gauge at work on the queues."""
    running = asyncio.create_task(Broker(broker_url, "test").run(gauge.watch, process.stopping))
    try:
        yield
    finally:
        process.stopping.set()
        await running


async def test_a_long_queue_refuses_creates_too(
    process: Process,
    broker_url: str,
    channel: AbstractChannel,
    api: httpx2.AsyncClient,
    gauge: Gauge,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Until somebody has worked it off."""
    monkeypatch.setattr("api.gauge.REFRESH_SECONDS", 0.01)
    queue = await channel.get_queue(topology.SCHEDULER.name)
    for _ in range(MARK):
        await channel.default_exchange.publish(Message(encode([Envelope("k", "c", "s")])), queue.name)
    names = iter(f"web-{number}" for number in range(10_000))

    async def answers(status: int) -> bool:
        return await create(api, next(names)) == status

    async with watching(broker_url, gauge, process):
        await eventually(partial(answers, 503))
        await queue.purge()
        await eventually(partial(answers, 201))


@pytest.fixture
def loaded(
    process: Process, fresh_url: str, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The URL of an API process with a low mark, and no relay."""
    monkeypatch.setenv("PATHFINDER_BACKLOG_OUTBOX", str(MARK))
    with serving(fresh_url, broker_url, tmp_path / "log", "api") as (url, _):
        yield url


async def test_a_client_waits_for_an_overloaded_server_and_is_served_once(
    process: Process, loaded: str, fleet: Fleet
) -> None:
    """It says that it waits, comes back with the same key, and gets its container when there is room again."""
    async with process.database.begin() as tx:
        secret = await tokens.create(tx, "waiter", "operator")
        assert await clusters.find(tx, "default")
    await fill(process, MARK)
    waits: list[str] = []

    async def refused() -> bool:
        async with Client(loaded, secret, patience=0) as hasty:
            try:
                await hasty.containers.create("probe")
            except Exception as error:
                return "Too much work" in str(error)
            await fill(process, MARK)
            await hasty.containers.delete("probe")
        return False

    await eventually(refused)
    async with Client(loaded, secret, on_wait=lambda refusal, _: waits.append(refusal.problem.type)) as client:
        creating = asyncio.create_task(client.containers.create("web-01"))

        async def waiting() -> bool:
            return bool(waits)

        await eventually(waiting)
        await fill(process, 0)
        container = await creating

    assert container.hostname == "web-01"
    assert waits[0] == "/problems/overloaded"
    assert (await fleet.statuses())["web-01"] == "PENDING"


async def test_queues_that_nobody_has_made_yet_hold_nothing(gauge: Gauge, channel: AbstractChannel) -> None:
    """An api may be the first role of all at a new RabbitMQ: it waits for no other, and counts once they are there."""
    first = QUEUES[0]
    for queue in QUEUES:
        await channel.queue_delete(queue.name)
        telemetry.BACKLOG.labels(queue.name).set(-1)
    watching = asyncio.create_task(gauge.watch(channel._connection))  # type: ignore[attr-defined]

    async def measured() -> bool:
        return {telemetry.BACKLOG.labels(queue.name)._value.get() for queue in QUEUES} == {0}

    await eventually(measured)
    await topology.declare(channel, first)
    await channel.default_exchange.publish(Message(b"[]"), first.name)

    async def counted() -> bool:
        return bool(telemetry.BACKLOG.labels(first.name)._value.get() == 1)

    await eventually(counted)
    watching.cancel()
    await channel.queue_delete(first.name)
    await topology.declare_all(channel)
