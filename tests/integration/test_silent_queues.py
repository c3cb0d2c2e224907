"""A quorum queue without a leader answers nothing, and has every channel wait that talks to it."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from sqlalchemy import text
from workbench import Fleet, eventually, relaying

from pathfinder.bootstrap import Process
from pathfinder.broker import publish, topology
from pathfinder.broker.connection import BrokerLost
from pathfinder.broker.publish import Publisher, Silence
from pathfinder.domain.messages import Command, Envelope, Exchange, decode, encode
from pathfinder.embedded.rabbitmq import NAME, RabbitMQ
from pathfinder.store import journal

#: What a queue's process is made: a follower that knows of no leader.
WITHOUT_LEADER = """
    sys:replace_state({{'{}', node()}}, fun({{leader, Data}}) ->
        [N] = [N || N <- lists:seq(2, size(Data)), is_map(element(N, Data)), maps:is_key(leader_id, element(N, Data))],
        {{follower, setelement(N, Data, maps:put(leader_id, undefined, element(N, Data)))}}
    end).
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for words that will not come."""
    monkeypatch.setattr(publish, "SILENT_SECONDS", 0.5)
    monkeypatch.setattr(publish, "SILENT_APART_SECONDS", 0.5)


@pytest.fixture
async def channel(rabbitmq: RabbitMQ) -> AsyncIterator[AbstractChannel]:
    """A channel to the private RabbitMQ, with everything that is shared declared."""
    async with await aio_pika.connect(rabbitmq.url) as connection:
        made = await connection.channel()
        await topology.declare_all(made)
        yield made


async def without_leader(rabbitmq: RabbitMQ, hostname: str) -> None:
    """A node's queue as RabbitMQ 3.10 may leave it when it is killed while that is declared."""
    name = f"{NAME}_{topology.node_queue(hostname).name}"
    said = await asyncio.to_thread(rabbitmq.control, "eval", WITHOUT_LEADER.format(name))
    assert said.stdout.startswith("{follower"), said.stderr


async def put(process: Process, hostname: str) -> Envelope:
    """A command into the outbox."""
    wanted = Envelope(Command.PROVISION, "c", hostname)
    async with process.database.begin() as tx:
        await journal.record(tx, [], {hostname: [wanted]})
    return wanted


async def held(channel: AbstractChannel, hostname: str) -> list[Envelope]:
    """What a node's queue has, taken from it."""
    queue, found = await channel.get_queue(topology.node_queue(hostname).name), list[Envelope]()
    while (message := await queue.get(fail=False, no_ack=True)) is not None:
        found += decode(message.body)
    return found


async def test_a_queue_that_never_answers_holds_up_nobody_and_is_made_anew(
    process: Process, rabbitmq: RabbitMQ, channel: AbstractChannel, fleet: Fleet
) -> None:
    """Commands of others flow past it; its own wait in the outbox, and are in the new one in the end."""
    stuck, free = (f"{name}-{uuid4().hex[:6]}" for name in ("stuck", "free"))
    for hostname in (stuck, free):
        await fleet.node(hostname)
        await topology.declare(channel, topology.node_queue(hostname))
    async with process.database.begin() as tx:
        await tx.execute(text("DELETE FROM outbox"))  # what has their queues declared
    await without_leader(rabbitmq, stuck)
    to_stuck, to_free = await put(process, stuck), await put(process, free)
    async with relaying(process, rabbitmq.url):
        found: list[Envelope] = []

        async def flows() -> bool:
            found.extend(await held(channel, free))
            return to_free in found

        await eventually(flows, 30)

        async def empty() -> bool:
            async with process.database.begin() as tx:
                return not (await tx.execute(text("SELECT count(*) FROM outbox"))).scalar_one()

        await eventually(empty, 60)

    assert to_stuck in await held(channel, stuck)
    for hostname in (stuck, free):
        await channel.queue_delete(topology.node_queue(hostname).name)


async def test_among_many_the_way_to_it_is_found(
    rabbitmq: RabbitMQ, channel: AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Together none is answered; apart, only what shares its channel is not."""
    monkeypatch.setattr(publish, "CHANNELS", 3)
    hostnames = [f"many-{number}-{uuid4().hex[:6]}" for number in range(6)]
    for hostname in hostnames:
        await topology.declare(channel, topology.node_queue(hostname))
    await without_leader(rabbitmq, hostnames[0])
    parcels = [(Exchange.COMMANDS, hostname, encode([Envelope(Command.PROVISION, "c", "s")])) for hostname in hostnames]
    async with await aio_pika.connect(rabbitmq.url) as connection:
        publisher = await Publisher.open(connection)
        with pytest.raises(Silence) as silence:
            await publisher.publish_all(parcels)
        assert parcels[0][:2] in silence.value.ways
        results = await publisher.publish_apart(parcels)

    assert [isinstance(one, Silence) for one in results] == [True, False, False, True, False, False]
    assert not any(results[number] for number in (1, 2, 4, 5))
    assert publisher.stuck
    for hostname in hostnames:
        await channel.queue_delete(topology.node_queue(hostname).name)


async def test_a_broker_that_answers_nothing_is_lost_and_no_queue_of_it_is_to_blame(
    rabbitmq: RabbitMQ, channel: AbstractChannel
) -> None:
    """While its memory is full it takes nothing from whoever publishes, and says nothing either."""
    hostname = f"alarm-{uuid4().hex[:6]}"
    await topology.declare(channel, topology.node_queue(hostname))
    parcels = [(Exchange.COMMANDS, hostname, encode([Envelope(Command.PROVISION, "c", "s")]))]
    connection = await aio_pika.connect(rabbitmq.url)
    publisher = await Publisher.open(connection)
    limit = await asyncio.to_thread(rabbitmq.control, "set_vm_memory_high_watermark", "0")
    assert limit.returncode == 0, limit.stderr
    try:
        with pytest.raises(BrokerLost, match="answers nothing"):
            await publisher.publish_apart(parcels)
    finally:
        await asyncio.to_thread(rabbitmq.control, "set_vm_memory_high_watermark", "0.4")
        await connection.close()
        await channel.queue_delete(topology.node_queue(hostname).name)
