"""What becomes of the containers of a node that is DOWN: in the tables, and by a real controller."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from aio_pika.abc import AbstractChannel
from sqlalchemy import text
from workbench import Fleet, MakeProcess, eventually, registration

import workers.controller
from pathfinder.bootstrap import Process
from pathfinder.broker.publish import Publisher
from pathfinder.domain.errors import AlreadyExists, Conflict, Invalid
from pathfinder.domain.lifecycle import ContainerType
from pathfinder.domain.messages import Command, Envelope, Exchange, Report, decode, encode
from pathfinder.domain.specs import ClusterPatch
from pathfinder.store import clusters, healing, leases, nodes, outbox, requests
from pathfinder.store.requests import Asker
from workers.fencing import fence
from workers.recorder import record_inventory, record_reports
from workers.scheduler import ANYTHING, place_pending

ASKER = Asker("test", "trace")


class Bench:
    """Two nodes; `web` (stateless) and `db` (stateful) run on the first."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.process = fleet.process
        self.node_id = self.other_id = UUID(int=0)
        self.ids: dict[str, UUID] = {}

    async def set_up(self) -> None:
        """Place and provision both."""
        self.node_id = await self.fleet.node("node-01")
        (self.ids["web"],) = await self.fleet.ask("web")
        (self.ids["db"],) = await self.fleet.ask("db", type=ContainerType.STATEFUL)
        await place_pending(self.process, self.fleet.cluster_id, news=ANYTHING)
        for name in self.ids:
            await self.report(Report.PROVISIONED, name, ipaddress="10.0.0.9")
        self.other_id = await self.fleet.node("node-02")
        await self.commands()

    async def report(self, kind: Report, name: str, generation: int = 1, **body: object) -> None:
        """A report of the first node."""
        body = {"node_id": str(self.node_id), "hostname": name, **body}
        said = Envelope(kind, str(self.fleet.cluster_id), str(self.ids[name]), generation, body=body)
        async with self.process.database.begin() as tx:
            await record_reports(tx, [said])

    async def show(self, epoch: int, *listed: tuple[str, int, bool], grace: timedelta = timedelta(hours=1)) -> None:
        """The first node's full list: name, generation and whether it runs."""
        instances = [
            {
                "container_id": str(self.ids[name]),
                "hostname": name,
                "generation": generation,
                "running": running,
                "address": "10.0.0.9" if running else None,
                "seen_seconds": 0.0,
            }
            for name, generation, running in listed
        ]
        body = {"instances": instances, "busy": [], "epoch": epoch}
        said = Envelope(Report.INVENTORY, str(self.fleet.cluster_id), str(self.node_id), body=body)
        async with self.process.database.begin() as tx:
            await record_inventory(tx, said, grace)

    async def fall_silent(self) -> nodes.Node:
        """Its lease ends, and it is declared DOWN."""
        async with self.process.database.begin() as tx:
            await tx.execute(text("UPDATE leases SET until = now() - interval '1 s' WHERE node_id = :id"), self._id)
            await nodes.mark_down(tx, {self.node_id})
            return (await nodes.by_ids(tx, {self.node_id}))[self.node_id]

    @property
    def _id(self) -> dict[str, UUID]:
        return {"id": self.node_id}

    async def lose_and_replace(self, node: nodes.Node) -> None:
        """What a controller does next."""
        async with self.process.database.begin() as tx:
            await healing.lose(tx, node)
        async with self.process.database.begin() as tx:
            await healing.replace(tx, node, takeovers=False)
        await place_pending(self.process, self.fleet.cluster_id, news=ANYTHING)

    async def states(self) -> dict[str, tuple[object, ...]]:
        """Status, generation and node of each container; the books must balance."""
        await self.fleet.assert_claims_add_up()
        rows = await self.fleet.rows(
            "SELECT c.hostname, c.status, c.generation, n.hostname FROM containers AS c "
            "LEFT JOIN nodes AS n ON n.id = c.node_id"
        )
        return {str(row[0]): row[1:] for row in rows}

    async def commands(self) -> list[tuple[str, str, int]]:
        """Node, kind and generation of the commands since the last time."""
        found = []
        async with self.process.database.begin() as tx:
            for message in await outbox.take(tx):
                if message.exchange == Exchange.COMMANDS:
                    found += [(message.routing_key, one.kind, one.generation) for one in decode(message.body)]
        return found

    async def node_status(self) -> str:
        """READY or DOWN."""
        return str((await self.fleet.rows("SELECT status FROM nodes WHERE hostname = 'node-01'"))[0][0])


@pytest_asyncio.fixture
async def bench(fleet: Fleet) -> AsyncIterator[Bench]:
    """Two nodes with a stateless and a stateful container on the first."""
    made = Bench(fleet)
    await made.set_up()
    yield made


async def test_stateless_containers_go_elsewhere_and_stateful_ones_wait(bench: Bench) -> None:
    """Once, however often a controller looks."""
    node = await bench.fall_silent()

    for _ in range(3):
        await bench.lose_and_replace(node)

    assert await bench.states() == {"web": ("SCHEDULED", 2, "node-02"), "db": ("LOST", 1, "node-01")}
    kinds = await bench.fleet.kinds()
    assert (kinds.count("container.lost"), kinds.count("container.rescheduled")) == (2, 1)


async def test_a_node_that_is_heard_again_just_in_time_loses_nothing_more(bench: Bench) -> None:
    """Between the look and the deed its heartbeat came: its containers go on in place."""
    node = await bench.fall_silent()
    async with bench.process.database.begin() as tx:
        await healing.lose(tx, node)
        await leases.renew(tx, {bench.node_id: {}}, 60)
        assert await healing.replace(tx, node, takeovers=False) == 0

    await bench.show(1, ("web", 1, False), ("db", 1, True))

    assert await bench.states() == {"web": ("SCHEDULED", 1, "node-01"), "db": ("PROVISIONED", 1, "node-01")}
    assert await bench.node_status() == "READY"


async def test_a_node_is_not_ready_while_anything_stale_is_on_it(bench: Bench) -> None:
    """It is told to delete that, and people are told what it is."""
    await bench.lose_and_replace(await bench.fall_silent())
    await bench.commands()

    await bench.show(1, ("web", 1, True), ("db", 1, True))

    assert await bench.node_status() == "DOWN"
    assert (await bench.states())["db"] == ("LOST", 1, "node-01")
    assert await bench.commands() == [("node-01", Command.DELETE, 1)]
    ((words,),) = await bench.fleet.rows("SELECT held_back FROM nodes WHERE hostname = 'node-01'")
    assert words == "1 instance(s) of former placements are still on it, which it was told to delete: web"

    await bench.show(1, ("db", 1, True))

    assert await bench.node_status() == "READY"
    assert await bench.states() == {"web": ("SCHEDULED", 2, "node-02"), "db": ("PROVISIONED", 1, "node-01")}
    assert await bench.fleet.rows("SELECT held_back FROM nodes WHERE held_back IS NOT NULL") == []


async def test_a_list_of_an_earlier_epoch_does_not_count(bench: Bench) -> None:
    """The agent has not heard yet that its node was given up; it is told."""
    await bench.lose_and_replace(await bench.fall_silent())
    await bench.commands()

    await bench.show(0, ("db", 1, True))

    assert await bench.node_status() == "DOWN"
    assert await bench.commands() == [("node-01", Command.REJOIN, 0)]


async def test_what_was_said_before_a_node_went_down_revives_nothing(bench: Bench) -> None:
    """A report that lay in a queue meanwhile."""
    await bench.lose_and_replace(await bench.fall_silent())

    await bench.report(Report.PROVISIONED, "db", ipaddress="10.0.0.9")
    await bench.report(Report.PROVISIONED, "web", ipaddress="10.0.0.9")

    assert await bench.states() == {"web": ("SCHEDULED", 2, "node-02"), "db": ("LOST", 1, "node-01")}


async def test_a_container_on_a_lost_node_can_be_deleted(bench: Bench) -> None:
    """At once; a deletion that was under way is done, too. Then the node can be forgotten."""
    async with bench.process.database.begin() as tx:
        await requests.delete(tx, bench.fleet.cluster_id, "web", ASKER)
    node = await bench.fall_silent()
    await bench.lose_and_replace(node)
    assert (await bench.states())["web"][0] == "DELETED"

    async with bench.process.database.begin() as tx:
        with pytest.raises(Conflict):
            await nodes.delete(tx, node, "test", "trace")
    async with bench.process.database.begin() as tx:
        await requests.delete(tx, bench.fleet.cluster_id, "db", ASKER)

    assert (await bench.states())["db"][0] == "DELETED"
    async with bench.process.database.begin() as tx:
        await nodes.delete(tx, node, "test", "trace")
    await bench.fleet.assert_claims_add_up()


async def test_a_stateful_container_whose_disk_is_gone_is_not_made_anew_by_itself(bench: Bench) -> None:
    """An empty disk would look like a healthy one. Asked for, it is placed without a takeover."""
    await bench.show(0, ("web", 1, True), grace=timedelta())

    assert (await bench.states())["db"] == ("LOST", 1, "node-01")

    async with bench.process.database.begin() as tx:
        await requests.reschedule(tx, bench.fleet.cluster_id, "db", ASKER)
    assert (await bench.states())["db"][0] == "PENDING"


async def test_a_stateful_container_that_was_lost_before_it_was_made_is_made_when_its_node_is_back(
    bench: Bench,
) -> None:
    """It never ran, so there is no disk that could be gone; one that ran and is not there any more stays LOST."""
    (bench.ids["new"],) = await bench.fleet.ask("new", type=ContainerType.STATEFUL)
    await bench.fleet.rows("UPDATE nodes SET schedulable = false WHERE hostname = 'node-02' RETURNING id")
    await place_pending(bench.process, bench.fleet.cluster_id, news=ANYTHING)
    node = await bench.fall_silent()
    await bench.lose_and_replace(node)
    assert {(await bench.states())[name][0] for name in ("new", "db")} == {"LOST"}
    await bench.commands()

    await bench.show(node.epoch)

    states = await bench.states()
    assert (states["new"], states["db"]) == (("SCHEDULED", 1, "node-01"), ("LOST", 1, "node-01"))
    assert await bench.commands() == [("node-01", Command.PROVISION, 1)]
    assert await bench.node_status() == "READY"


async def test_a_clone_of_a_live_node_is_refused_and_a_new_machine_takes_its_place_once_it_is_silent(
    bench: Bench,
) -> None:
    """The new one begins as DOWN, in an epoch of its own: nothing of the old one is on it."""
    clone = registration("node-01", machine_id="another")
    async with bench.process.database.begin() as tx:
        with pytest.raises(AlreadyExists, match="on another machine"):
            await nodes.register(tx, bench.fleet.cluster_id, clone, 60, "")

    async with bench.process.database.begin() as tx:
        await tx.execute(text("UPDATE leases SET until = now() - interval '1 s'"))
        admitted = await nodes.register(tx, bench.fleet.cluster_id, clone, 60, "")
    assert (admitted.id, admitted.down, admitted.epoch) == (bench.node_id, True, 1)

    await bench.show(1)

    assert await bench.node_status() == "READY"
    assert await bench.states() == {"web": ("SCHEDULED", 1, "node-01"), "db": ("LOST", 1, "node-01")}


async def test_a_node_that_was_deleted_while_it_was_away_is_not_ready_before_it_is_rid_of_what_it_held(
    bench: Bench,
) -> None:
    """It comes back as a new one; what runs there was placed anew meanwhile."""
    node = await bench.fall_silent()
    await bench.lose_and_replace(node)
    async with bench.process.database.begin() as tx:
        await requests.delete(tx, bench.fleet.cluster_id, "db", ASKER)
        await nodes.delete(tx, node, "test", "trace")
        admitted = await nodes.register(tx, bench.fleet.cluster_id, registration("node-01"), 60, "")
    bench.node_id = admitted.id
    await bench.commands()
    assert (admitted.down, await bench.node_status()) == (True, "DOWN")

    await bench.show(admitted.epoch, ("web", 1, True))
    assert await bench.node_status() == "DOWN"
    assert ("node-01", Command.DELETE, 1) in await bench.commands()

    await bench.show(admitted.epoch)
    assert await bench.node_status() == "READY"
    assert (await bench.fleet.kinds()).count("node.ready") == 1


async def test_an_announced_reboot_is_no_silence_until_it_is_over(bench: Bench) -> None:
    """Uncordoning takes the announcement back."""
    async with bench.process.database.begin() as tx:
        node = await nodes.find(tx, bench.fleet.cluster_id, "node-01")
        await nodes.set_schedulable(tx, node, False, "test", "", 300)
    assert not (await bench.fall_silent()).down

    async with bench.process.database.begin() as tx:
        await nodes.set_schedulable(tx, node, True, "test", "")
    assert (await bench.fall_silent()).down


async def test_a_cluster_has_a_rhythm_of_its_own_and_its_nodes_hear_of_it(bench: Bench) -> None:
    """A lease shorter than two heartbeats is refused."""
    usual = clusters.Rhythm(5, 15)
    async with bench.process.database.begin() as tx:
        await clusters.change(tx, "default", ClusterPatch(lease_seconds=600), usual, "test", "")
        await leases.renew(tx, {bench.node_id: {}}, 15)
    (left,) = await bench.fleet.rows(
        "SELECT extract(epoch FROM l.until - now())::int FROM leases AS l JOIN nodes AS n ON n.id = l.node_id "
        "WHERE n.hostname = 'node-01'"
    )
    assert 590 <= int(str(left[0])) <= 600
    assert sorted(await bench.commands()) == [("node-01", Command.REJOIN, 0), ("node-02", Command.REJOIN, 0)]

    with pytest.raises(Invalid, match="shorter than 2 heartbeats"):
        async with bench.process.database.begin() as tx:
            await clusters.change(tx, "default", ClusterPatch(lease_seconds=9), usual, "test", "")


async def test_a_lease_is_not_shorter_than_its_node_believes(bench: Bench) -> None:
    """Until the node says that it knows of a shorter one; over the API, and by fresh leases for all, neither."""

    async def left() -> int:
        given = "SELECT extract(epoch FROM until - clock_timestamp())::int FROM leases WHERE node_id = :id"
        ((seconds,),) = await bench.fleet.rows(given, id=bench.node_id)
        return int(str(seconds))

    async def renew(said: dict[UUID, float]) -> int:
        async with bench.process.database.begin() as tx:
            await leases.renew(tx, {bench.node_id: {}}, 10, said)
        return await left()

    assert await renew({bench.node_id: 900.0}) > 800
    async with bench.process.database.begin() as tx:
        await leases.renew_all(tx, 10)
    assert await left() > 800
    async with bench.process.database.begin() as tx:
        await leases.extend(tx, bench.node_id, 10)
    assert await left() > 800

    assert await renew({bench.node_id: 10.0}) > 800  # it may have counted on the longer one a moment ago
    async with bench.process.database.begin() as tx:
        await leases.renew_all(tx, 10)
    assert await left() <= 10
    assert await renew({}) <= 10


async def test_a_node_that_went_down_before_the_clock_was_set_back_is_healed_all_the_same(bench: Bench) -> None:
    """Its lease, and the moment of its death, lie in the future then; neither is waited for."""
    await bench.fall_silent()
    await bench.fleet.rows("UPDATE leases SET until = until + interval '1 hour' RETURNING node_id")
    await bench.fleet.rows("UPDATE nodes SET down_at = down_at + interval '1 hour' WHERE status = 'DOWN' RETURNING id")

    async with bench.process.database.begin() as tx:
        await leases.renew_all(tx, 15)
        ((node,)) = await healing.down_nodes(tx)

    assert node.down_for >= timedelta(0)
    ((left,),) = await bench.fleet.rows(
        "SELECT extract(epoch FROM until - now())::int FROM leases WHERE node_id = :id", id=bench.node_id
    )
    assert int(str(left)) <= 15


async def test_whose_lease_ended_by_a_clock_that_was_set_is_not_taken_for_silent(bench: Bench) -> None:
    """Also not who is DOWN, but about to come back, and may run what is LOST."""
    await bench.fall_silent()
    for clock_was_set in (False, True):
        async with bench.process.database.begin() as tx:
            await leases.renew_all(tx, 15, clock_was_set=clock_was_set)
            (node,) = await healing.down_nodes(tx)
        assert node.alive == clock_was_set


async def test_leases_are_locked_in_one_order_whoever_renews_them(bench: Bench, make_process: MakeProcess) -> None:
    """Heartbeats are written while every node gets a fresh lease: neither waits for the other."""
    low, high = sorted(row[0] for row in await bench.fleet.rows("SELECT node_id FROM leases"))
    await bench.fleet.rows("UPDATE leases SET usage = '{}' WHERE node_id = :id RETURNING node_id", id=low)  # now last
    other = make_process()

    async def renew_all() -> None:
        async with other.database.begin() as tx:
            await leases.renew_all(tx, 15)

    async def waits() -> bool:
        return bool(await bench.fleet.rows("SELECT pid FROM pg_locks WHERE NOT granted"))

    async with bench.process.database.begin() as tx:
        await leases.renew(tx, {low: {}}, 15)
        renewing = asyncio.create_task(renew_all())
        await eventually(waits)
        await leases.renew(tx, {high: {}}, 15)
    await renewing


@pytest.mark.parametrize("works", [True, False])
async def test_a_stateful_container_is_taken_over_only_once_its_node_is_fenced(
    bench: Bench, make_process: MakeProcess, broker_url: str, channel: AbstractChannel, tmp_path: Path, works: bool
) -> None:
    """The hook is called with the node's name; where it fails, nothing is taken over and the reason is shown."""
    calls = tmp_path / "calls"
    hook = tmp_path / "fence"
    hook.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n' + ("" if works else "echo no power socket; exit 1\n"))
    hook.chmod(0o755)
    await bench.fall_silent()
    process = make_process(broker_url=broker_url, fence_command=str(hook))
    running = asyncio.create_task(workers.controller.run(process))
    try:

        async def lost() -> bool:
            return (await bench.states())["db"][0] == "LOST"

        await eventually(lost, 30)
        assert not calls.exists()  # nobody asked for it
        async with bench.process.database.begin() as tx:
            await requests.reschedule(tx, bench.fleet.cluster_id, "db", ASKER)

        async def seen_to() -> bool:
            kinds = await bench.fleet.kinds()
            return ("node.fenced" if works else "node.fence_failed") in kinds

        await eventually(seen_to, 30)
        if works:

            async def taken_over() -> bool:
                return (await bench.states())["db"][0] == "PENDING"

            await eventually(taken_over, 30)
            assert calls.read_text() == "node-01 10.0.0.1\n"
        else:
            (row,) = await bench.fleet.rows("SELECT status, message FROM containers WHERE hostname = 'db'")
            assert row[0] == "LOST"
            assert "no power socket" in str(row[1])
    finally:
        process.stopping.set()
        await asyncio.wait_for(running, 40)


async def test_who_is_overdue_counts_for_the_brake_before_it_is_down(bench: Bench) -> None:
    """Not heard for half a lease: DOWN nodes are counted as such, and announced silence is none."""

    async def fleets() -> list[tuple[int, int]]:
        async with bench.process.database.begin() as tx:
            return list((await healing.fleets(tx, 15)).values())

    assert await fleets() == [(2, 0)]

    await bench.fleet.rows("UPDATE leases SET until = now() + interval '7 s' RETURNING node_id")
    assert await fleets() == [(2, 2)]

    await bench.fall_silent()
    assert await fleets() == [(2, 1)]
    await bench.fleet.rows("UPDATE nodes SET reboot_until = now() + interval '1 h' RETURNING id")
    assert await fleets() == [(2, 0)]


async def test_a_fencing_hook_that_cannot_be_run_or_never_ends_is_a_failure(make_process: MakeProcess) -> None:
    """In words; and it is ended."""
    missing = make_process(fence_command=f"/nowhere/{uuid4()}").settings
    slow = make_process(fence_command="sh -c 'exec sleep 60'", fence_timeout_seconds=0.2).settings
    nobody = make_process(fence_url="http://127.0.0.1:9/").settings

    assert "cannot be run" in str(await fence(missing, "node-01", "10.0.0.1"))
    assert "longer than 0.2 s" in str(await fence(slow, "node-01", "10.0.0.1"))
    assert "does not answer" in str(await fence(nobody, "node-01", "10.0.0.1"))


async def test_heartbeats_of_a_node_that_was_given_up_call_it_back(
    bench: Bench, process: Process, broker_url: str, channel: AbstractChannel, make_process: MakeProcess
) -> None:
    """Once, until it answers. They do not make it READY: its list does."""
    await bench.lose_and_replace(await bench.fall_silent())
    await bench.commands()
    leader = make_process(broker_url=broker_url)
    running = asyncio.create_task(workers.controller.run(leader))
    try:
        publisher = await Publisher.on(channel)
        calls = []

        async def beats(then: str) -> None:
            usage = {"usage": {"then": then}, "epoch": 0}
            said = encode([Envelope(Report.HEARTBEAT, str(bench.fleet.cluster_id), str(bench.node_id), body=usage)])
            await publisher.publish(Exchange.REPORTS, Report.HEARTBEAT, said, persistent=False)
            written = "SELECT true FROM leases WHERE usage ->> 'then' = :then"

            async def heard() -> bool:
                return await bench.fleet.rows(written, then=then) != []

            await eventually(heard, 30)
            calls.extend(await bench.commands())

        await beats("first")
        await beats("second")
        assert calls == [("node-01", Command.REJOIN, 0)]
        assert await bench.node_status() == "DOWN"
    finally:
        leader.stopping.set()
        await asyncio.wait_for(running, 40)
