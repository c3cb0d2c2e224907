"""What the simulation adds to the runtime contract: its journal, its faults, its cost; and who chooses it."""

import asyncio
import time
from pathlib import Path

import pytest

from pathfinder.domain.instances import InstanceOrder, Stage
from pathfinder.runtime.port import OperationFailed, RuntimeUnreachable
from pathfinder.runtime.select import open_runtime
from pathfinder.runtime.simulated import Pace, SimulatedRuntime

AT_ONCE = Pace(0, 0, 0, 0)


def ignore(_stage: Stage, _percent: int | None) -> None:
    """A progress callback for tests that do not look at it."""


def order(hostname: str, image: str = "any") -> InstanceOrder:
    """An order for that hostname."""
    return InstanceOrder(hostname, f"id-{hostname}", 1, "cluster", image)


async def run(runtime: SimulatedRuntime, hostname: str) -> str:
    """Create, start and wait for the address."""
    await runtime.create(order(hostname), ignore)
    await runtime.start(hostname)
    return await runtime.address(hostname, 1)


async def test_instances_outlive_the_process_when_there_is_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "state" / "instances.jsonl"
    before = SimulatedRuntime(pace=AT_ONCE, journal=path)
    address = await run(before, "kept")
    await run(before, "gone")
    await before.remove("gone")
    await before.close()

    after = SimulatedRuntime(pace=AT_ONCE, journal=path)
    listed = await after.instances("cluster")
    await after.close()

    assert [(each.hostname, each.running, each.address) for each in listed] == [("kept", True, address)]


async def test_a_line_cut_short_by_a_kill_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "instances.jsonl"
    before = SimulatedRuntime(pace=AT_ONCE, journal=path)
    await run(before, "kept")
    await before.close()
    with path.open("a") as file:
        file.write('{"hostname": "half')

    after = SimulatedRuntime(pace=AT_ONCE, journal=path)
    listed = await after.instances("cluster")
    await after.close()

    assert [each.hostname for each in listed] == ["kept"]


async def test_the_journal_does_not_grow_with_what_is_over(tmp_path: Path) -> None:
    path = tmp_path / "instances.jsonl"
    for _ in range(3):
        runtime = SimulatedRuntime(pace=AT_ONCE, journal=path)
        await run(runtime, "brief")
        await runtime.remove("brief")
        await runtime.close()

    await SimulatedRuntime(journal=path).close()

    assert path.read_text() == ""


async def test_a_broken_image_fails_and_leaves_nothing() -> None:
    runtime = SimulatedRuntime(pace=AT_ONCE)

    with pytest.raises(OperationFailed):
        await runtime.create(order("web", "local:broken"), ignore)

    assert await runtime.instance("web") is None


async def test_a_dead_daemon_can_be_played() -> None:
    runtime = SimulatedRuntime(pace=AT_ONCE)
    runtime.unreachable = True

    with pytest.raises(RuntimeUnreachable):
        await runtime.create(order("web"), ignore)


async def test_equal_names_and_seeds_give_equal_addresses_and_machines() -> None:
    one, same, other = (SimulatedRuntime(name, pace=AT_ONCE) for name in ("n1", "n1", "n2"))

    assert await run(one, "web") == await run(same, "web") != await run(other, "web")
    assert (await one.facts()).machine_id == (await same.facts()).machine_id != (await other.facts()).machine_id


async def test_thousands_of_instances_are_cheap(tmp_path: Path) -> None:
    runtime = SimulatedRuntime(pace=AT_ONCE, journal=tmp_path / "instances.jsonl")
    began = time.process_time()

    await asyncio.gather(*(run(runtime, f"web-{number}") for number in range(3000)))

    assert time.process_time() - began < 3
    await runtime.close()


async def test_auto_falls_back_to_a_simulation_where_no_lxd_answers(tmp_path: Path) -> None:
    runtime = await open_runtime("auto", tmp_path / "no-such.socket", tmp_path)

    assert runtime.kind == "simulated"
    await runtime.close()


async def test_lxd_asked_for_by_name_is_never_replaced_by_a_simulation(tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnreachable, match=r"no-such\.socket"):
        await open_runtime("lxd", tmp_path / "no-such.socket", tmp_path)
