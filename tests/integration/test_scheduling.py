"""Schedulers at work on a store: claims that add up, whoever else places, joins or leaves at the same moment."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import pytest
import workbench
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from workbench import Fleet, whenever_looked_at

import workers.placing
from pathfinder.bootstrap import Process
from pathfinder.domain.containers import Container
from pathfinder.domain.messages import Command, Exchange, Kind, decode
from pathfinder.domain.specs import ContainerSpec
from pathfinder.store import claims, clusters, containers, nodes, outbox, requests
from pathfinder.store.requests import Asker
from workers.alarm import Alarm
from workers.scheduler import ANYTHING, LOOKS, _look, _place, place_pending

GIB = workbench.GIB
ASKER = Asker("test", "trace")


def _claims_lost() -> float:
    return REGISTRY.get_sample_value("pathfinder_claims_lost_total") or 0


async def commands(process: Process) -> dict[str, list[str]]:
    """The commands in the outbox: kinds by node; the outbox is empty then."""
    found: dict[str, list[str]] = {}
    async with process.database.begin() as tx:
        for message in await outbox.take(tx):
            if message.exchange == Exchange.COMMANDS:
                found.setdefault(message.routing_key, []).extend(one.kind for one in decode(message.body))
    return found


async def test_a_container_is_placed_claimed_recorded_and_commanded_in_one_go(fleet: Fleet, process: Process) -> None:
    """Row, claim, event and command are one transaction."""
    await fleet.node("node-01")
    await fleet.ask("web", cpu=2, memory="1GiB", disk="10GiB")

    await place_pending(process, fleet.cluster_id)

    assert await fleet.rows("SELECT status, generation, waiting, message FROM containers") == [
        ("SCHEDULED", 1, False, None)
    ]
    assert await fleet.rows("SELECT cpu_claimed, memory_claimed, disk_claimed, containers FROM nodes") == [
        (2000, GIB, 10 * GIB, 1)
    ]
    assert (await fleet.kinds())[-2:] == ["container.requested", "container.scheduled"]
    assert await commands(process) == {"node-01": [Command.PROVISION]}


@pytest.mark.parametrize("schedulers", [2, 4])
async def test_schedulers_at_once_never_overfill_a_node(
    fleet: Fleet,
    process: Process,
    make_process: workbench.MakeProcess,
    record_property: Callable[[str, object], None],
    schedulers: int,
) -> None:
    """More is asked for than there is room: all room is used, no more, and every container is placed once."""
    dice = random.Random(schedulers)
    for number in range(5):
        await fleet.node(f"node-{number}", cpu_millicores=4000, memory_bytes=4 * GIB)
    for number in range(8):
        await fleet.ask(*(f"c-{number}-{n}" for n in range(8)), cpu=dice.choice([1, 1, 2]), memory="256MiB")
    many = [make_process(scheduler_batch=dice.choice([3, 7, 500])) for _ in range(schedulers)]
    before = _claims_lost()

    await asyncio.gather(*(place_pending(one, fleet.cluster_id) for one in many))
    await place_pending(process, fleet.cluster_id, news=ANYTHING)  # the sweep

    record_property("claims_lost", _claims_lost() - before)
    await fleet.assert_claims_add_up()
    statuses = list((await fleet.statuses()).values())
    scheduled = statuses.count("SCHEDULED")
    assert scheduled + statuses.count("PENDING") == 64
    assert await fleet.rows("SELECT sum(cpu_claimed) FROM nodes") == [(20_000,)]
    assert (await fleet.kinds()).count("container.scheduled") == scheduled
    assert sum(map(len, (await commands(process)).values())) == scheduled
    assert await fleet.rows("SELECT DISTINCT waiting FROM containers WHERE status = 'PENDING'") == [(True,)]


async def test_schedulers_users_and_nodes_at_once_leave_claims_that_add_up(
    fleet: Fleet, make_process: workbench.MakeProcess
) -> None:
    """Deletes, reschedules, cordons and new nodes in the middle of it all."""
    await fleet.node("node-0")
    await fleet.node("node-1")
    names = [f"c-{number}" for number in range(24)]
    await fleet.ask(*names, cpu=0.5)
    one, two, three = make_process(scheduler_batch=4), make_process(scheduler_batch=5), make_process()
    dice = random.Random(7)

    async def disturb() -> None:
        for name in dice.sample(names, 16):
            async with three.database.begin() as tx:
                if name in names[:12]:
                    await requests.delete(tx, fleet.cluster_id, name, ASKER)
                else:
                    container = (await fleet.statuses())[name]
                    if container == "PROVISIONED":
                        await requests.reschedule(tx, fleet.cluster_id, name, ASKER)
        for open_ in (False, True):
            async with three.database.begin() as tx:
                node = await nodes.find(tx, fleet.cluster_id, "node-0")
                await nodes.set_schedulable(tx, node, open_, "test", "")
        await fleet.node("node-2")

    async def schedule(process: Process) -> None:
        for _ in range(4):
            await place_pending(process, fleet.cluster_id, news=ANYTHING)

    await asyncio.gather(schedule(one), schedule(two), disturb())
    await place_pending(one, fleet.cluster_id, news=ANYTHING)

    await fleet.assert_claims_add_up()
    assert set((await fleet.statuses()).values()) <= {"SCHEDULED", "SCHEDULE_DELETION", "DELETED"}


async def test_a_claim_on_a_node_that_changed_meanwhile_is_decided_again(
    fleet: Fleet, process: Process, make_process: workbench.MakeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another scheduler takes the room between the look and the claim."""
    await fleet.node("node-0", cpu_millicores=1000)
    await fleet.ask("first", cpu=1)
    other = make_process()
    calls = 0

    async def and_then_lose() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            async with other.database.begin() as its:
                node = await nodes.find(its, fleet.cluster_id, "node-0")
                await nodes.set_schedulable(its, node, False, "somebody", "")

    whenever_looked_at(monkeypatch, and_then_lose)
    before = _claims_lost()
    await place_pending(process, fleet.cluster_id)

    assert _claims_lost() - before == 1
    assert await fleet.statuses() == {"first": "PENDING"}
    ((message,),) = await fleet.rows("SELECT message FROM containers")
    assert "cordoned" in str(message)
    await fleet.assert_claims_add_up()


async def test_what_cannot_be_placed_waits_with_its_reasons(fleet: Fleet, process: Process) -> None:
    """The log tells it once, however often it is looked at."""
    await fleet.node("small", cpu_millicores=1000)
    await fleet.node("down")
    async with process.database.begin() as tx:
        await tx.execute(text("UPDATE nodes SET status = 'DOWN' WHERE hostname = 'down'"))
    await fleet.ask("big", cpu=2)

    for _ in range(3):
        await place_pending(process, fleet.cluster_id, news=ANYTHING)

    ((waiting, message, id_),) = await fleet.rows("SELECT waiting, message, id FROM containers")
    explanation = await fleet.decision(id_)
    assert waiting
    assert message == (
        "No node of 2 can take it now: 1 × node is DOWN: its agent sends no heartbeats; "
        "1 × cpu 2 wanted, at most 1 free."
    )
    assert [(one["filter"], one["nodes"]) for one in explanation["rejections"]] == [
        ("ready", 1),
        ("fits", 1),
    ]
    assert (await fleet.kinds()).count("container.unplaceable") == 1
    assert await commands(process) == {}


async def test_a_waiting_container_is_left_alone_until_there_is_room(fleet: Fleet, process: Process) -> None:
    """New requests do not pay for old ones that cannot be placed."""
    await fleet.node("node-0", cpu_millicores=2000)
    await fleet.ask("big", cpu=2)
    await fleet.ask("small", cpu=1)
    await place_pending(process, fleet.cluster_id)
    assert await fleet.statuses() == {"big": "SCHEDULED", "small": "PENDING"}

    await fleet.rows("UPDATE containers SET message = 'as it was' WHERE waiting RETURNING id")
    await place_pending(process, fleet.cluster_id)
    assert await fleet.rows("SELECT message FROM containers WHERE waiting") == [("as it was",)]

    await fleet.node("node-1", cpu_millicores=2000)
    await place_pending(process, fleet.cluster_id, news=ANYTHING)
    assert (await fleet.statuses())["small"] == "SCHEDULED"


@pytest.mark.parametrize("priority", [0, -5])
async def test_who_is_new_does_not_take_the_room_that_somebody_waits_for(
    fleet: Fleet, process: Process, priority: int
) -> None:
    """Though the hint that there is room comes only after the request: the older and the more urgent one gets it."""
    await _crowd(fleet, process, 1)
    await fleet.node("node-1", cpu_millicores=1000)

    await fleet.ask("new", cpu=1, priority=priority)
    await place_pending(process, fleet.cluster_id, news={Kind.CONTAINER_REQUESTED})

    assert await fleet.statuses() == {"big": "SCHEDULED", "waits-0": "SCHEDULED", "new": "PENDING"}


async def test_room_that_appears_while_a_container_is_judged_is_not_missed(
    fleet: Fleet, process: Process, make_process: workbench.MakeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node joins after the look and before the mark, and its hint is handled before the mark is committed."""
    await fleet.ask("web")
    other = make_process()
    joined = False

    async def and_then_a_node_joins() -> None:
        nonlocal joined
        if not joined:
            joined = True
            await fleet.node("node-0")
            await place_pending(other, fleet.cluster_id, news=ANYTHING)  # the hint: sees a locked row, passes it by

    whenever_looked_at(monkeypatch, and_then_a_node_joins)
    await place_pending(process, fleet.cluster_id)

    assert await fleet.statuses() == {"web": "SCHEDULED"}


class Supplying:
    """Room appears, for the first `times`; then a node joins."""

    def __init__(self, fleet: Fleet, times: int, then: str | None = None) -> None:
        self._fleet, self._left, self._then = fleet, times, then

    async def __call__(self) -> None:
        """Once more."""
        self._left -= 1
        if self._left >= 0:
            await self._fleet.rows("UPDATE nodes SET supply = supply + 1 RETURNING id")
        elif self._then is not None:
            then, self._then = self._then, None
            await self._fleet.node(then)


async def _crowd(fleet: Fleet, process: Process, size: int) -> None:
    """A full node, and so many who wait for room on it."""
    await fleet.node("node-0", cpu_millicores=2000)
    await fleet.ask("big", cpu=2)
    await fleet.ask(*(f"waits-{number}" for number in range(size)), cpu=1)
    await place_pending(process, fleet.cluster_id)


async def test_room_that_comes_all_the_time_neither_keeps_the_scheduler_nor_starves_who_is_new(
    fleet: Fleet, make_process: workbench.MakeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits is looked at a few times; who comes after more of them than a page holds gets a place all the same,
    and the caller is told that those who wait may have missed room.
    """
    process = make_process(scheduler_batch=2)
    await _crowd(fleet, process, 5)
    await fleet.ask("new", memory="1GiB")
    whenever_looked_at(monkeypatch, Supplying(fleet, 1_000_000))

    async with asyncio.timeout(30):
        left = await place_pending(process, fleet.cluster_id, news=ANYTHING)

    assert (await fleet.statuses())["new"] == "SCHEDULED"
    assert left.waiting
    assert left.unsure


async def test_who_was_judged_while_room_came_again_and_again_is_looked_at_soon(
    fleet: Fleet, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduler's own alarm rings for it: no hint comes any more, and no sweep."""
    await _crowd(fleet, process, 1)
    whenever_looked_at(monkeypatch, Supplying(fleet, LOOKS - 1, then="node-1"))
    alarm = Alarm(process, partial(_look, process))

    await _place(process, alarm, fleet.cluster_id, ANYTHING)
    assert (await fleet.statuses())["waits-0"] == "PENDING"

    ringing = asyncio.create_task(alarm.run())
    try:

        async def placed() -> bool:
            return (await fleet.statuses())["waits-0"] == "SCHEDULED"

        await workbench.eventually(placed)
    finally:
        ringing.cancel()
        await asyncio.gather(ringing, return_exceptions=True)


@pytest.mark.parametrize("size", [1, 3, 500])
async def test_batches_of_any_size_place_everything(
    fleet: Fleet, make_process: workbench.MakeProcess, size: int
) -> None:
    """Also when some in the middle have to wait."""
    await fleet.node("node-0", memory_bytes=2 * GIB)
    await fleet.ask(*(f"a-{n}" for n in range(4)))
    await fleet.ask("never", memory="2GiB", node_labels={"no": "where"})
    await fleet.ask(*(f"b-{n}" for n in range(4)))

    await place_pending(make_process(scheduler_batch=size), fleet.cluster_id)

    statuses = await fleet.statuses()
    assert statuses.pop("never") == "PENDING"
    assert set(statuses.values()) == {"SCHEDULED"}


async def test_a_cluster_without_pending_containers_costs_no_change(fleet: Fleet, process: Process) -> None:
    """Sweeps write nothing."""
    before = await fleet.rows("SELECT count(*) FROM events")

    await place_pending(process, fleet.cluster_id, news=ANYTHING)

    assert await fleet.rows("SELECT count(*) FROM events") == before


async def test_the_scheduler_takes_what_is_urgent_first_then_what_is_older(fleet: Fleet, process: Process) -> None:
    """Page by page, each page going on where the one before it ended."""
    ids = sorted(await fleet.ask(*(f"c-{number}" for number in range(6))))
    for number, priority in ((1, 5), (2, -3), (4, 1000), (5, 5)):
        update = "UPDATE containers SET priority = :priority WHERE id = :id RETURNING id"
        await fleet.rows(update, priority=priority, id=ids[number])

    order, last = [], None
    async with process.database.begin() as tx:
        full = True
        while full:
            page = await containers.take_pending(tx, fleet.cluster_id, news=(), after=last, limit=2)
            order += [ids.index(one.id) for one in page.containers]
            last, full = page.last, page.full

    assert order == [4, 1, 5, 0, 3, 2]


async def test_nodes_count_their_stateful_containers(fleet: Fleet, process: Process) -> None:
    """Placed, on their way out, and gone."""
    await fleet.node("node-01")
    await fleet.ask("db-1", "db-2", type="STATEFUL", cpu=1)
    await fleet.ask("web", cpu=1)
    await place_pending(process, fleet.cluster_id)
    assert await fleet.rows("SELECT containers, stateful FROM nodes") == [(3, 2)]

    await fleet.rows("UPDATE containers SET status = 'PROVISIONED' RETURNING id")
    async with process.database.begin() as tx:
        await requests.reschedule(tx, fleet.cluster_id, "db-1", ASKER)
    assert await fleet.rows("SELECT containers, stateful FROM nodes") == [(3, 2)]
    await fleet.assert_claims_add_up()

    (id_, generation, node_id) = (await fleet.rows("SELECT container_id, generation, node_id FROM departures"))[0]
    async with process.database.begin() as tx:
        gone = await claims.finish_departures(tx, [(id_, generation, node_id)])  # type: ignore[list-item]
        await claims.give_back(tx, claims.total((one.node_id, one.resources, one.stateful) for one in gone))
    assert await fleet.rows("SELECT containers, stateful FROM nodes") == [(2, 1)]
    await fleet.assert_claims_add_up()


async def test_a_gang_is_taken_whole_and_once(fleet: Fleet, process: Process) -> None:
    """Its first container stands for it in the queue, whatever the size of a page."""
    await fleet.ask("lone")
    await _gang(process, 3)

    async with process.database.begin() as tx, process.database.begin() as other:
        first = await containers.take_pending(tx, fleet.cluster_id, news=(), after=None, limit=2)
        second = await containers.take_pending(other, fleet.cluster_id, news=(), after=None, limit=2)

    assert {one.hostname for one in first.containers} == {"lone", "g-0", "g-1", "g-2"}
    assert second.containers == []


async def test_a_gang_that_somebody_holds_does_not_hide_who_comes_after_it(fleet: Fleet, process: Process) -> None:
    """A page that gives nothing, because the rest of its gang is in other hands, is still followed by the next one."""
    await fleet.node("node-01")
    ids = await _gang(process, 3)
    await fleet.ask("lone")
    process.settings.scheduler_batch = 1

    async with process.database.begin() as tx:
        await containers.lock(tx, [max(ids)])
        await place_pending(process, fleet.cluster_id)

    assert (await fleet.statuses())["lone"] == "SCHEDULED"


async def test_what_is_left_of_a_gang_is_a_gang(fleet: Fleet, process: Process) -> None:
    """Also when it was the first of it that was deleted; a placed one is none any more."""
    await fleet.node("node-01")
    ids = await _gang(process, 3)
    async with process.database.begin() as tx:
        first = await containers.lock(tx, [min(ids)])
        await requests.delete(tx, fleet.cluster_id, first[min(ids)].hostname, ASKER)
    async with process.database.begin() as tx:
        left = await containers.take_pending(tx, fleet.cluster_id, news=(), after=None, limit=1)
    assert len(left.containers) == 2

    await place_pending(process, fleet.cluster_id)

    assert await fleet.rows("SELECT DISTINCT status, gang FROM containers WHERE status <> 'DELETED'") == [
        ("SCHEDULED", None)
    ]
    sizes = await fleet.rows("SELECT DISTINCT spec #> '{gang,size}' FROM containers")
    assert sizes == [(3,)]


async def _gang(process: Process, size: int) -> list[UUID]:
    async with process.database.begin() as tx:
        found = await clusters.find(tx, "default")
        specs = [ContainerSpec(hostname=f"g-{number}", cpu=1) for number in range(size)]
        return await requests.create(tx, found, specs, ASKER, None, together=True)


async def test_who_waits_is_woken_by_what_may_help_and_by_nothing_else(fleet: Fleet, process: Process) -> None:
    """So thousands that wait cost nothing each time something happens that cannot help them."""
    await fleet.node("node-01", cpu_millicores=4000)
    await fleet.ask("full", cpu=4)
    await fleet.ask("room", cpu=1)
    await fleet.ask("label", node_labels={"disk": "ssd"})
    await place_pending(process, fleet.cluster_id)

    async def taken(*news: Kind) -> set[str]:
        async with process.database.begin() as tx:
            found = await containers.take_pending(tx, fleet.cluster_id, news=news, after=None, limit=10)
        return {one.hostname for one in found.containers}

    assert await taken() == set()
    assert await taken(Kind.CONTAINER_DELETED) == {"room"}
    assert await taken(Kind.NODE_UPDATED) == {"room", "label"}
    assert await taken(Kind.NODE_REGISTERED) == {"room", "label"}
    assert await taken(Kind.NODE_UNCORDONED, Kind.CONTAINER_SCHEDULED) == set()
    assert await taken(*ANYTHING) == {"room", "label"}


async def test_a_large_batch_is_written_part_by_part_and_told_of_once(
    fleet: Fleet, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that wait among them, too; and if a part cannot be written nothing was."""
    monkeypatch.setattr(workers.placing, "PART", 3)
    await fleet.node("node-0")
    names = [f"web-{number}" for number in range(8)]
    await fleet.ask(*names)
    await fleet.ask("waits", node_labels={"no": "where"})
    save, saved = containers.save, 0

    async def fail() -> None:
        raise RuntimeError("the process breaks here")

    def but_the_second(tx: AsyncConnection, changed: Sequence[Container]) -> Coroutine[Any, Any, None]:
        nonlocal saved
        saved += 1
        return fail() if saved == 2 else save(tx, changed)

    with monkeypatch.context() as broken:
        broken.setattr(containers, "save", but_the_second)
        with pytest.raises(RuntimeError):
            await place_pending(process, fleet.cluster_id)
    assert set((await fleet.statuses()).values()) == {"PENDING"}

    await place_pending(process, fleet.cluster_id)

    told = await fleet.rows(
        "SELECT kind, subject_name FROM events WHERE kind IN ('container.scheduled', 'container.unplaceable')"
    )
    scheduled = [("container.scheduled", name) for name in names]
    assert sorted(told) == [*scheduled, ("container.unplaceable", "waits")]
    ((hint,),) = await fleet.rows("SELECT body FROM outbox WHERE routing_key = 'container.scheduled'")
    assert [one.body["count"] for one in decode(hint)] == [8]  # type: ignore[arg-type]
    assert await commands(process) == {"node-0": ["provision"] * 8}
    await fleet.assert_claims_add_up()
