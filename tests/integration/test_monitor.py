"""The monitor: who is silent, and who was only not listened to."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from workbench import GIB, Fleet, eventually

import workers.monitor
from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.consume import Delivery
from pathfinder.controllers.liveness import Clocks
from pathfinder.controllers.usage import Use
from pathfinder.domain.errors import Contended, TooSlow, Unavailable
from pathfinder.domain.messages import Envelope, Report, encode
from pathfinder.store import leadership
from workers.agent.lease import now as steady_now
from workers.monitor import Monitor

ENDED = "UPDATE leases SET until = now() - interval '1 hour' RETURNING node_id"


@asynccontextmanager
async def watching(process: Process, broker_url: str) -> AsyncIterator[None]:
    """A monitor that leads and has granted its fresh leases."""
    async with (
        await aio_pika.connect(broker_url) as connection,
        leadership.session(process.database, "controller") as session,
    ):
        lead = await leadership.take(session, "controller")
        assert lead is not None
        running = asyncio.create_task(Monitor(process, connection, lead).run())
        yield
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def judged(fleet: Fleet) -> bool:
    """Whether any node was called DOWN."""
    return "node.down" in await fleet.kinds()


async def leased(fleet: Fleet) -> bool:
    """Whether the fresh leases are there."""
    return await fleet.rows("SELECT node_id FROM leases WHERE until > now()") != []


async def test_a_heartbeat_that_is_in_hand_but_not_yet_written_keeps_its_node(
    fleet: Fleet, broker_url: str, channel: AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long that takes: the silence is ours. Who was not heard is DOWN once it is over."""
    heard, silent = await fleet.node("heard"), await fleet.node("silent")
    in_hand, go_on, asked = asyncio.Event(), asyncio.Event(), asyncio.Event()
    write, all_heard = Monitor._heartbeats, Monitor._all_heard

    async def slowly(monitor: Monitor, batch: Sequence[Delivery]) -> None:
        in_hand.set()
        await go_on.wait()
        await write(monitor, batch)

    async def asks(monitor: Monitor, own: AbstractChannel) -> bool:
        try:
            return await all_heard(monitor, own)
        finally:
            asked.set()

    monkeypatch.setattr(Monitor, "_heartbeats", slowly)
    monkeypatch.setattr(Monitor, "_all_heard", asks)
    monkeypatch.setattr(workers.monitor, "MARK_SECONDS", 0.2)
    async with watching(fleet.process, broker_url):
        await eventually(lambda: leased(fleet))
        beat = Envelope(Report.HEARTBEAT, str(fleet.cluster_id), str(heard), body={"usage": {}})
        await channel.default_exchange.publish(aio_pika.Message(encode([beat])), topology.HEARTBEATS.name)
        async with asyncio.timeout(30):
            await in_hand.wait()
            await fleet.rows(ENDED)
            for _ in range(2):
                asked.clear()
                await asked.wait()
        assert not await judged(fleet)
        go_on.set()
        await eventually(lambda: judged(fleet))

    assert await fleet.rows("SELECT id FROM nodes WHERE status = 'DOWN'") == [(silent,)]


async def test_a_database_whose_clock_was_set_ends_no_lease(
    fleet: Fleet, broker_url: str, channel: AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forwards by an hour, every lease is over at once: each node gets a fresh one, and none is called DOWN."""
    await fleet.node("node-01")
    read, was_set = Monitor._read_clocks, asyncio.Event()
    ahead = 0.0

    async def set_meanwhile(monitor: Monitor) -> Clocks:
        nonlocal ahead
        if was_set.is_set() and not ahead:
            ahead = 3600.0
            await fleet.rows(ENDED)
        now = await read(monitor)
        return Clocks(now.database + ahead, now.steady)

    monkeypatch.setattr(Monitor, "_read_clocks", set_meanwhile)
    async with watching(fleet.process, broker_url):
        await eventually(lambda: leased(fleet))
        await fleet.rows("UPDATE leases SET until = until + interval '1 hour' RETURNING node_id")
        was_set.set()

        async def looked() -> bool:
            return ahead > 0 and (await leased(fleet) or await judged(fleet))

        await eventually(looked)

    assert not await judged(fleet)


@pytest.mark.parametrize("error", [Contended, TooSlow])
async def test_what_could_not_be_done_now_puts_no_judgement_off(
    fleet: Fleet, broker_url: str, channel: AbstractChannel, monkeypatch: pytest.MonkeyPatch, error: type[Unavailable]
) -> None:
    """However often it happens: PostgreSQL was there all the time, and heartbeats were written."""
    await fleet.node("silent")
    heal, failed = Monitor._heal, 0

    async def cannot(monitor: Monitor) -> None:
        nonlocal failed
        await heal(monitor)
        failed += 1
        raise error("not now")

    monkeypatch.setattr(Monitor, "_heal", cannot)
    async with watching(fleet.process, broker_url):

        async def looked() -> bool:
            return failed > 0

        await eventually(looked)
        await fleet.rows(ENDED)
        await eventually(lambda: judged(fleet))


async def test_who_was_silent_while_the_store_was_away_is_not_judged_for_it(
    fleet: Fleet, broker_url: str, channel: AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API may have taken no heartbeat either: each node gets a fresh lease first."""
    await fleet.node("silent")
    heal, to_fail = Monitor._heal, False

    async def away_once(monitor: Monitor) -> None:
        nonlocal to_fail
        await heal(monitor)
        if to_fail:
            to_fail = False
            await fleet.rows(ENDED)
            raise Unavailable("PostgreSQL is being stopped or started")

    monkeypatch.setattr(Monitor, "_heal", away_once)
    async with watching(fleet.process, broker_url):
        to_fail = True

        async def looked() -> bool:
            return not to_fail and (await leased(fleet) or await judged(fleet))

        await eventually(looked)

    assert not await judged(fleet)


async def test_a_node_that_has_another_size_is_written_down_once(
    fleet: Fleet, broker_url: str, channel: AbstractChannel
) -> None:
    """What waits is looked at again; a heartbeat with nothing new, or of an older agent, writes no node."""
    grown, same, older = [await fleet.node(name) for name in ("grown", "same", "older")]
    usual = {"cpu_millicores": 8000, "memory_bytes": 8 * GIB, "disk_bytes": 80 * GIB}
    told = {grown: usual | {"memory_bytes": 16 * GIB}, same: usual | {"disk_bytes": 80 * GIB - 4096}, older: None}
    before = dict(await fleet.rows("SELECT id, supply FROM nodes"))  # type: ignore[arg-type]

    async with watching(fleet.process, broker_url):
        await eventually(lambda: leased(fleet))
        for turn in (1.0, 2.0):
            for id_, size in told.items():
                body = {"usage": {"load_1m": turn}} | ({"capacity": size} if size else {})
                beat = Envelope(Report.HEARTBEAT, str(fleet.cluster_id), str(id_), body=body)
                await channel.default_exchange.publish(aio_pika.Message(encode([beat])), topology.HEARTBEATS.name)

            async def written(turn: float = turn) -> bool:
                loads = await fleet.rows("SELECT usage ->> 'load_1m' FROM leases")
                return loads == [(str(turn),)] * 3

            await eventually(written)

    sizes = await fleet.rows("SELECT id, memory_bytes, disk_bytes, supply FROM nodes")
    assert sorted(sizes, key=str) == sorted(
        [
            (grown, 16 * GIB, 80 * GIB, before[grown] + 1),
            (same, 8 * GIB, 80 * GIB, before[same]),
            (older, 8 * GIB, 80 * GIB, before[older]),
        ],
        key=str,
    )
    ((name, body),) = await fleet.rows("SELECT subject_name, body FROM events WHERE kind = 'node.updated'")
    assert (name, body) == ("grown", told[grown])


async def test_what_containers_use_is_kept_by_whoever_hears_it_and_never_written(
    fleet: Fleet, process: Process, broker_url: str, channel: AbstractChannel
) -> None:
    """Rates of those that are watched; a beat of an agent that tells none of it, or rubbish, is a beat all the same."""
    id_ = await fleet.node("node-1")
    looks: list[object] = [
        {"at": 10.0, "usages": {"a": [1.0, 1 << 20, 0, 0], "b": [1.0, 1, 0, 0]}},
        None,
        {"at": "soon", "usages": []},
        {"at": 20.0, "usages": {"a": [6.0, 2 << 20, 500, 500], "b": [2.0, 1, 0, 0]}},
    ]
    async with (
        await aio_pika.connect(broker_url) as connection,
        leadership.session(process.database, "controller") as session,
    ):
        lead = await leadership.take(session, "controller")
        assert lead is not None
        monitor = Monitor(process, connection, lead)
        monitor.usages.watch({"a": str(id_)})
        running = asyncio.create_task(monitor.run())
        for turn, look in enumerate(looks):
            body = {"usage": {"load_1m": turn}} | ({"containers": look} if look else {})
            beat = Envelope(Report.HEARTBEAT, str(fleet.cluster_id), str(id_), body=body)
            await channel.default_exchange.publish(aio_pika.Message(encode([beat])), topology.HEARTBEATS.name)

        async def known() -> bool:
            return monitor.usages.use("a", steady_now()) is not None

        await eventually(known)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    assert monitor.usages.use("a", steady_now()) == Use(0.5, 2 << 20, 100.0)
    assert monitor.usages.use("b", steady_now()) is None
    ((usage,),) = await fleet.rows("SELECT usage FROM leases")
    assert usage == {"load_1m": len(looks) - 1}
