"""The outbox and its relays: nothing lost, whoever dies when."""

import asyncio
import time
from typing import Any

import aio_pika
import pytest
from aio_pika import Message
from aio_pika.abc import AbstractChannel
from sqlalchemy import text
from workbench import Fleet, OneByOne, eventually, multiply, plan_of, relaying

import workers.relay
from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.domain.errors import Unavailable
from pathfinder.domain.messages import Command, Envelope, Exchange, decode, encode
from pathfinder.store import containers, journal, outbox
from pathfinder.store.clusters import Cluster
from workers.scheduler import place_pending


class Recorder(OneByOne):
    """A publisher that keeps what it is given; `fails` makes it raise before that many messages are through."""

    def __init__(self, published: list[str], fails_after: int | None = None) -> None:
        self.published, self.fails_after = published, fails_after

    async def publish(
        self, exchange: str, routing_key: str, body: bytes, *, mandatory: bool = True, persistent: bool = True
    ) -> None:
        """Keep the ids of the envelopes."""
        await asyncio.sleep(0)
        if self.fails_after == 0:
            raise ConnectionError("the broker is gone")
        if self.fails_after is not None:
            self.fails_after -= 1
        self.published += [one.id for one in decode(body)]


def command(subject: str = "s") -> Envelope:
    """A command for whoever."""
    return Envelope(Command.PROVISION, "c", subject)


async def put(process: Process, messages: list[tuple[str, Envelope]]) -> None:
    """Commands into the outbox, one row each."""
    async with process.database.begin() as tx:
        for node, envelope in messages:
            await journal.record(tx, [], {node: [envelope]})


async def left(process: Process) -> int:
    """Rows in the outbox."""
    async with process.database.begin() as tx:
        return int((await tx.execute(text("SELECT count(*) FROM outbox"))).scalar_one())


@pytest.mark.parametrize("seed", range(5))
async def test_nothing_is_lost_when_relays_die_between_publishing_and_committing(
    process: Process, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three relays at once, most of them dying: every message is published at least once, then the outbox is empty."""
    monkeypatch.setattr(outbox, "BATCH", 4)
    messages = [(f"node-{number % 3}", command(str(number))) for number in range(30)]
    await put(process, messages)
    published: list[str] = []

    async def relay(fails_after: int | None) -> None:
        publisher = Recorder(published, fails_after)
        try:
            while await workers.relay.publish_some(process, publisher):
                pass
        except (ConnectionError, Unavailable):
            return  # it died: what it had published is there again

    await asyncio.gather(relay(seed), relay(seed + 1), relay(0))
    await relay(fails_after=None)

    assert set(published) == {envelope.id for _, envelope in messages}
    assert await left(process) == 0


async def test_two_relays_share_the_work(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one holds, the other passes by: without failures nothing is published twice."""
    monkeypatch.setattr(outbox, "BATCH", 2)
    await put(process, [("node", command(str(number))) for number in range(20)])
    mine: list[str] = []
    yours: list[str] = []
    async with process.database.begin() as tx:
        held = await outbox.take(tx)  # a slow relay
        while await workers.relay.publish_some(process, Recorder(mine)):
            pass
        yours += [one.id for message in held for one in decode(message.body)]

    assert len(mine) == 18
    assert len(set(mine + yours)) == 20
    assert await left(process) == 0


async def test_a_relay_rests_only_when_it_has_caught_up_and_while_more_is_to_be_placed(
    process: Process, fleet: Fleet, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While more rows wait than it takes at once there is nothing to gather; nor when nothing more will come."""
    monkeypatch.setattr(outbox, "BATCH", 2)
    monkeypatch.setattr(workers.relay, "MANY", 1)
    monkeypatch.setattr(workers.relay, "MAX_REST_SECONDS", 600.0)
    monkeypatch.setattr(process.settings, "sweep_seconds", 600.0)
    did: list[str] = []
    some, rest = workers.relay.publish_some, workers.relay._rest

    async def noted_some(*given: Any) -> int:
        did.append(f"took {(rows := await some(*given))}")
        return rows

    async def noted_rest(process: Process, wake: asyncio.Event, until: float) -> None:
        did.append("rests")
        await rest(process, wake, until + 600)
        did.append("rested")

    monkeypatch.setattr(workers.relay, "publish_some", noted_some)
    monkeypatch.setattr(workers.relay, "_rest", noted_rest)
    await fleet.node("n1")
    await fleet.ask("c1")
    await fleet.rows("DELETE FROM outbox RETURNING id")
    await put(process, [("nobody", command(str(number))) for number in range(5)])

    async def rests() -> bool:
        return did[-1:] == ["rests"]

    async def is_idle() -> bool:
        return did[-1] == "took 0"

    async with relaying(process, broker_url):
        await eventually(rests)
        begun = did.index("took 2")
        assert did[begun:] == ["took 2", "took 2", "took 1", "rests"]
        await put(process, [("nobody", command("more"))])  # rests on, for it may not be the last
        await place_pending(process, fleet.cluster_id)  # an event and a command
        await eventually(is_idle)

    assert did[begun + 3 :] == ["rests", "rested", "took 2", "took 1", "rests", "rested", "took 0"]


async def test_what_is_still_to_be_placed_is_found_by_its_index(fleet: Fleet) -> None:
    """However many others there are."""
    await multiply(fleet, 20_000)
    async with fleet.process.database.begin() as tx:
        assert await containers.to_place(tx)
        await tx.execute(text("UPDATE containers SET status = 'SCHEDULED'"))
        assert not await containers.to_place(tx)
        plan = await plan_of(tx, containers.to_place(tx))

    assert "Index Scan Backward using ix_containers_fresh" in plan


async def test_a_change_that_is_rolled_back_leaves_no_message(process: Process, cluster: Cluster) -> None:
    """Outbox and change are one transaction."""

    async def change() -> None:
        async with process.database.begin() as tx:
            await journal.record(tx, [], {"node": [command()]})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change()

    assert await left(process) == 0


async def test_messages_that_go_the_same_way_travel_as_one(process: Process) -> None:
    """In the order they were written."""
    await put(process, [("a", command("1")), ("b", command("2")), ("a", command("3"))])
    async with process.database.begin() as tx:
        rows = await outbox.take(tx)

    joined = {key: [one.subject for one in decode(body)] for _, key, body in workers.relay._joined(rows)}
    assert joined == {"a": ["1", "3"], "b": ["2"]}


async def test_joined_messages_stay_below_their_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """One message never holds up a channel."""
    rows = [outbox.Message(number, "e", "k", encode([command(str(number))])) for number in range(10)]
    monkeypatch.setattr(workers.relay, "MAX_BODY_BYTES", 3 * len(rows[0].body))

    parcels = workers.relay._joined(rows)

    assert [len(decode(body)) for _, _, body in parcels] == [3, 3, 3, 1]
    assert [one.subject for _, _, body in parcels for one in decode(body)] == [str(number) for number in range(10)]


async def arrives(queue: aio_pika.abc.AbstractQueue) -> list[Envelope]:
    """The envelopes of the next message, within five seconds."""
    found: list[Envelope] = []

    async def there() -> bool:
        message = await queue.get(fail=False, no_ack=True)
        if message is not None:
            found.extend(decode(message.body))
        return message is not None

    await eventually(there, 5)
    return found


async def test_a_commit_is_published_at_once(
    process: Process, broker_url: str, channel: AbstractChannel, cluster: Cluster
) -> None:
    """NOTIFY wakes the relay: no poll interval passes, though the sweep comes only every half minute."""
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(Exchange.EVENTS, "#")
    async with relaying(process, broker_url):
        await put(process, [("warm-up", command())])

        async def empty() -> bool:
            return await left(process) == 0

        await eventually(empty)
        took = []
        for number in range(5):
            async with process.database.begin() as tx:
                fact = journal.Fact(journal.Kind.NODE_READY, cluster.id, "node", cluster.id, f"node-{number}", "test")
                await journal.record(tx, [fact])
            began = time.monotonic()
            (envelope,) = await arrives(queue)
            took.append(time.monotonic() - began)
            assert (envelope.kind, envelope.body["name"]) == ("node.ready", f"node-{number}")

    assert min(took) < 0.5
    await channel.queue_delete("pathfinder.node.warm-up")


async def test_a_command_to_a_node_without_a_queue_waits_in_a_new_one(
    process: Process, broker_url: str, channel: AbstractChannel, fleet: Fleet
) -> None:
    """The agent, when it comes, finds them there."""
    name = topology.node_queue("node-lost").name
    await channel.queue_delete(name)
    await fleet.node("node-lost")
    async with process.database.begin() as tx:
        await tx.execute(text("DELETE FROM outbox"))  # what has the queue of a new node declared
    wanted = command("waits")
    async with relaying(process, broker_url):
        await put(process, [("node-lost", wanted)])

        async def empty() -> bool:
            return await left(process) == 0

        await eventually(empty)

    queue = await topology.declare(channel, topology.node_queue("node-lost"))
    assert await arrives(queue) == [wanted]
    await channel.queue_delete(name)


async def test_a_node_that_registers_has_its_queue_declared(
    process: Process, broker_url: str, channel: AbstractChannel, fleet: Fleet
) -> None:
    """Bound to its own commands; each registration says so again, which changes nothing."""
    queue = topology.node_queue("node-new")
    await channel.queue_delete(queue.name)
    await fleet.node("node-new")
    await fleet.node("node-new")
    wanted = command("waits")
    async with relaying(process, broker_url):

        async def declared() -> bool:
            return await left(process) == 0

        await eventually(declared)
        await (await channel.get_exchange(Exchange.COMMANDS)).publish(Message(encode([wanted])), "node-new")
        assert await arrives(await channel.get_queue(queue.name)) == [wanted]
    await channel.queue_delete(queue.name)


@pytest.mark.parametrize("used", [False, True])
async def test_a_queue_that_another_version_made_holds_up_nobody(
    process: Process, broker_url: str, channel: AbstractChannel, fleet: Fleet, used: bool
) -> None:
    """Used, it stays, and its node goes on with it; unused, it is made anew. Other nodes notice nothing."""
    old, other = topology.node_queue("node-old").name, topology.node_queue("node-other").name
    for name in (old, other):
        await channel.queue_delete(name)
    found = await channel.declare_queue(old, durable=True)
    if used:
        await found.consume(asyncio.Queue[object]().put)
    await fleet.node("node-old")
    await fleet.node("node-other")
    async with relaying(process, broker_url), await aio_pika.connect(broker_url) as connection:

        async def declared() -> bool:
            return await left(process) == 0

        await eventually(declared)
        assert await topology.is_there(connection, topology.node_queue("node-other"))
        if not used:
            await topology.declare(await connection.channel(), topology.node_queue("node-old"))
        assert (await channel.declare_queue(old, passive=True)).declaration_result.consumer_count == used
    for name in (old, other):
        await channel.queue_delete(name)


async def test_what_was_written_while_the_relay_was_away_is_published_when_it_comes(
    process: Process, broker_url: str, channel: AbstractChannel
) -> None:
    """Also what no notice tells of any more."""
    wanted = [command(str(number)) for number in range(3)]
    await put(process, [("node-away", one) for one in wanted])
    queue = await topology.declare(channel, topology.node_queue("node-away"))

    async with relaying(process, broker_url):
        assert await arrives(queue) == wanted

    await channel.queue_delete(queue.name)
