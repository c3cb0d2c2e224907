"""What a scheduler keeps of the fleet is what it would read afresh, whatever happened meanwhile."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace

import numpy as np
import pytest
import workbench
from sqlalchemy import text
from workbench import Fleet as Bench

from pathfinder.bootstrap import Process
from pathfinder.domain.patches import NodePatch
from pathfinder.scheduling.fleet import Fleet, NodeState
from pathfinder.store import nodes, requests, upkeep
from pathfinder.store.fleets import KnownFleet
from pathfinder.store.requests import Asker
from pathfinder.store.states import snapshot
from workers.scheduler import ANYTHING, place_pending

ASKER = Asker("test", "trace")
WHOLE = {"names", "tallies", "averse"}


def comparable(states: list[NodeState]) -> list[NodeState]:
    """Without live use: NaN is not equal to itself."""
    return [replace(one, cpu_used=0.0, memory_used=0.0) for one in states]


async def assert_up_to_date(known: KnownFleet, bench: Bench) -> None:
    """A refresh, then what is known is what a snapshot of the same moment says."""
    async with bench.process.database.begin() as tx:
        await known.refresh(tx, bench.cluster_id)
        states = await snapshot(tx, bench.cluster_id)
    assert comparable(known.states) == comparable(states)
    fresh = Fleet.of(states)
    for one in fields(Fleet):
        if one.name not in WHOLE:
            kept, read = getattr(known.fleet, one.name), getattr(fresh, one.name)
            assert np.array_equal(kept, read, equal_nan=read.dtype.kind == "f"), one.name
    for key in ("zone", "node.name"):
        assert known.fleet.names.label(key)[1] == fresh.names.label(key)[1]


async def patch(bench: Bench, hostname: str, **changes: object) -> None:
    """An operator changes a node."""
    async with bench.process.database.begin() as tx:
        node = await nodes.find(tx, bench.cluster_id, hostname)
        await upkeep.change(tx, node, NodePatch.model_validate(changes), "test", "")


async def leave(bench: Bench, hostname: str) -> None:
    """A node is deleted."""
    async with bench.process.database.begin() as tx:
        await nodes.delete(tx, await nodes.find(tx, bench.cluster_id, hostname), "test", "")


async def test_nodes_come_go_and_change(fleet: Bench, process: Process) -> None:
    """Each change is seen at the next look, by rows or by reading all again."""
    known = KnownFleet()
    await assert_up_to_date(known, fleet)
    for number in range(4):
        await fleet.node(f"node-{number}", labels={"zone": f"z{number % 2}"})
    await assert_up_to_date(known, fleet)
    steps: list[Callable[[], Awaitable[object]]] = [
        lambda: patch(fleet, "node-1", labels={"zone": "z9"}),
        lambda: patch(fleet, "node-2", taints=["gpu=yes:NoSchedule"], max_containers=3),
        lambda: patch(fleet, "node-2", overcommit={"cpu": 2.0}),
        lambda: leave(fleet, "node-0"),
        lambda: fleet.node("node-9", labels={"zone": "z1"}),
        lambda: asyncio.gather(leave(fleet, "node-9"), fleet.node("a-node")),
        lambda: fleet.ask("web", cpu=1),
        lambda: place_pending(process, fleet.cluster_id, news=ANYTHING),
        lambda: fleet.rows("UPDATE clusters SET overcommit = '{\"cpu\": 3}' RETURNING 1"),
        lambda: fleet.rows("UPDATE nodes SET aside_until = now() + interval '1 hour', aside_reason = 'x' RETURNING 1"),
        lambda: fleet.rows("UPDATE nodes SET aside_until = NULL RETURNING 1"),
    ]
    for step in steps:
        await step()
        await assert_up_to_date(known, fleet)


async def test_what_was_in_flight_at_a_look_is_seen_at_the_next(fleet: Bench, process: Process) -> None:
    """A transaction that began before a look and commits after it has an older number than what was seen."""
    known = KnownFleet()
    for number in range(3):
        await fleet.node(f"node-{number}")
    await assert_up_to_date(known, fleet)
    async with process.database.begin() as slow:
        await slow.execute(text("UPDATE nodes SET cpu_claimed = 7 WHERE hostname = 'node-0'"))
        await fleet.rows("UPDATE nodes SET cpu_claimed = 8 WHERE hostname = 'node-1' RETURNING 1")
        await assert_up_to_date(known, fleet)
        await fleet.rows("UPDATE nodes SET cpu_claimed = 9 WHERE hostname = 'node-2' RETURNING 1")
        await assert_up_to_date(known, fleet)
    await assert_up_to_date(known, fleet)
    assert [one.claimed.cpu_millicores for one in known.states] == [7, 8, 9]


async def test_a_batch_that_is_undone_leaves_nothing_in_memory(
    fleet: Bench, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claims were seen by its own transaction, and never happened."""
    await fleet.node("node-0", cpu_millicores=1000)
    await fleet.ask("web", cpu=1)
    refresh = KnownFleet.refresh

    async def and_fail(known: KnownFleet, tx: object, cluster_id: object) -> None:
        await tx.execute(text("UPDATE nodes SET cpu_claimed = 1000, generation = generation + 1"))  # type: ignore[attr-defined]
        await refresh(known, tx, cluster_id)  # type: ignore[arg-type]
        raise RuntimeError("the process breaks here")

    with monkeypatch.context() as broken:
        broken.setattr(KnownFleet, "refresh", and_fail)
        with pytest.raises(RuntimeError):
            await place_pending(process, fleet.cluster_id)
    await place_pending(process, fleet.cluster_id)

    assert await fleet.statuses() == {"web": "SCHEDULED"}
    await fleet.assert_claims_add_up()


@pytest.mark.parametrize("seed", range(3))
async def test_schedulers_under_load_while_nodes_join_leave_and_change(
    fleet: Bench, make_process: workbench.MakeProcess, seed: int
) -> None:
    """No node is overfilled, nobody starves, and what each scheduler knows in the end is what there is."""
    dice = random.Random(seed)
    for number in range(8):
        await fleet.node(f"node-{number}", labels={"zone": f"z{number % 2}"}, cpu_millicores=16_000)
    many = [make_process(scheduler_batch=dice.choice([5, 20, 10_000])) for _ in range(4)]
    asked = 0

    async def ask() -> None:
        nonlocal asked
        for number in range(12):
            wanted = {"constraints": ["zone=z0"]} if number % 3 == 0 else {}
            await fleet.ask(*(f"c-{number}-{n}" for n in range(10)), cpu=0.5, **wanted)
            asked += 10

    async def disturb() -> None:
        for number in range(6):
            await patch(fleet, f"node-{dice.randrange(1, 8)}", labels={"zone": dice.choice(["z0", "z1"])})
            await fleet.node(f"more-{number}", labels={"zone": "z0"}, cpu_millicores=8_000)
            name = f"c-{number}-{dice.randrange(10)}"
            if name in await fleet.statuses():
                async with fleet.process.database.begin() as tx:
                    await requests.delete(tx, fleet.cluster_id, name, ASKER)

    async def schedule(process: Process) -> None:
        for _ in range(15):
            await place_pending(process, fleet.cluster_id, news=ANYTHING)

    await asyncio.gather(ask(), disturb(), *(schedule(one) for one in many))
    for one in many:
        await place_pending(one, fleet.cluster_id, news=ANYTHING)

    await fleet.assert_claims_add_up()
    statuses = list((await fleet.statuses()).values())
    assert len(statuses) == asked
    assert "PENDING" not in statuses
    for one in many:
        await assert_up_to_date(one.fleets[fleet.cluster_id], fleet)
