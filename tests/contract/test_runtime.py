"""The contract of `pathfinder.runtime.port`, held by real LXD and by the simulation alike."""

import asyncio
import ipaddress
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace

import pytest

from pathfinder.domain.bootstrapping import File
from pathfinder.domain.instances import Fault, InstanceOrder, Stage
from pathfinder.domain.resources import Resources
from pathfinder.runtime.port import (
    ImageNotHere,
    ImageServerUnreachable,
    InstanceExists,
    NoAddress,
    OperationFailed,
    Progress,
    Refused,
    Runtime,
)

MakeOrder = Callable[..., InstanceOrder]


def ignore(_stage: Stage, _percent: int | None) -> None:
    """A progress callback for tests that do not look at it."""


async def run(runtime: Runtime, order: InstanceOrder) -> str:
    """Create, start and wait for the address."""
    await runtime.create(order, ignore)
    await runtime.start(order.hostname)
    return await runtime.address(order.hostname, 30)


async def test_a_container_is_created_started_addressed_and_removed(runtime: Runtime, order: MakeOrder) -> None:
    wanted = order(generation=7)

    await runtime.create(wanted, ignore)

    created = await runtime.instance(wanted.hostname)
    assert created is not None
    assert (created.running, created.container_id, created.generation) == (False, wanted.container_id, 7)

    await runtime.start(wanted.hostname)
    address = await runtime.address(wanted.hostname, 30)

    assert ipaddress.IPv4Address(address).is_private
    started = await runtime.instance(wanted.hostname)
    assert started is not None
    assert started.running

    await runtime.remove(wanted.hostname)

    assert await runtime.instance(wanted.hostname) is None


async def test_creating_it_twice_is_refused_and_leaves_the_first_as_it_was(runtime: Runtime, order: MakeOrder) -> None:
    first = order()
    address = await run(runtime, first)

    with pytest.raises(InstanceExists):
        await runtime.create(replace(first, container_id="another", generation=2), ignore)

    kept = await runtime.instance(first.hostname)
    assert kept is not None
    assert (kept.running, kept.container_id, kept.generation) == (True, first.container_id, 1)
    assert await runtime.address(first.hostname, 5) == address


async def test_a_second_create_that_would_fail_anyway_does_not_undo_the_first(
    runtime: Runtime, order: MakeOrder
) -> None:
    """Only what this very call made may be cleaned up, even when the marks are the same."""
    first = order()
    await runtime.create(first, ignore)

    with pytest.raises(InstanceExists):
        await runtime.create(replace(first, profiles=("default", "no-such-profile")), ignore)

    assert await runtime.instance(first.hostname) is not None


@pytest.mark.parametrize(
    ("image", "failure", "fault"),
    [
        ("local:missing", ImageNotHere, Fault.NODE),
        ("unreachable:26.04", ImageServerUnreachable, Fault.NODE),
    ],
)
async def test_an_image_that_cannot_be_had_is_named_and_leaves_nothing(
    runtime: Runtime, order: MakeOrder, image: str, failure: type[OperationFailed], fault: Fault
) -> None:
    wanted = order(image=image)
    began = time.monotonic()

    with pytest.raises(failure, match=image.partition(":")[2]) as raised:
        await runtime.create(wanted, ignore)

    assert raised.value.fault is fault
    assert time.monotonic() - began < 15
    assert await runtime.instance(wanted.hostname) is None


async def test_an_unknown_profile_is_the_requests_fault_and_leaves_nothing(runtime: Runtime, order: MakeOrder) -> None:
    wanted = order(profiles=("default", "no-such-profile"))

    with pytest.raises(Refused, match="no-such-profile"):
        await runtime.create(wanted, ignore)

    assert await runtime.instance(wanted.hostname) is None


async def test_a_cluster_lists_its_own_instances_with_the_addresses_of_running_ones(
    runtime: Runtime, order: MakeOrder, cluster_id: str
) -> None:
    running, stopped, foreign = order(), order(generation=3), order(cluster_id="another cluster")
    address = await run(runtime, running)
    await runtime.create(stopped, ignore)
    await runtime.create(foreign, ignore)

    listed = {each.hostname: each for each in await runtime.instances(cluster_id)}

    await runtime.remove(foreign.hostname)
    assert set(listed) == {running.hostname, stopped.hostname}
    assert (listed[running.hostname].running, listed[running.hostname].address) == (True, address)
    assert (listed[stopped.hostname].running, listed[stopped.hostname].generation) == (False, 3)


async def test_removing_stopping_and_asking_for_what_is_absent_is_no_error(runtime: Runtime) -> None:
    await runtime.remove("nobody")
    await runtime.stop("nobody", 1)

    assert await runtime.instance("nobody") is None


async def test_removing_twice_at_once_is_no_error(runtime: Runtime, order: MakeOrder) -> None:
    wanted = order()
    await run(runtime, wanted)

    await asyncio.gather(runtime.remove(wanted.hostname), runtime.remove(wanted.hostname))

    assert await runtime.instance(wanted.hostname) is None


async def test_starting_and_stopping_again_are_no_errors(runtime: Runtime, order: MakeOrder) -> None:
    wanted = order()
    await runtime.create(wanted, ignore)
    await runtime.stop(wanted.hostname, 1)

    await runtime.start(wanted.hostname)
    await runtime.start(wanted.hostname)
    started = await runtime.instance(wanted.hostname)
    await runtime.stop(wanted.hostname, 1)
    await runtime.stop(wanted.hostname, 1)
    stopped = await runtime.instance(wanted.hostname)

    assert started is not None
    assert stopped is not None
    assert (started.running, stopped.running) == (True, False)


async def test_a_stopped_container_gets_an_address_again_after_a_start(runtime: Runtime, order: MakeOrder) -> None:
    wanted = order()
    await run(runtime, wanted)
    await runtime.stop(wanted.hostname, 1)

    await runtime.start(wanted.hostname)

    assert ipaddress.IPv4Address(await runtime.address(wanted.hostname, 30))


async def test_an_address_is_not_waited_for_where_nothing_runs(runtime: Runtime, order: MakeOrder) -> None:
    wanted = order()
    await runtime.create(wanted, ignore)

    with pytest.raises(OperationFailed):
        await runtime.address(wanted.hostname, 30)


async def test_starting_what_is_absent_fails(runtime: Runtime) -> None:
    with pytest.raises(OperationFailed):
        await runtime.start("nobody")


async def test_an_address_that_does_not_come_is_given_up_in_time(
    runtime: Runtime, order: MakeOrder, image: str
) -> None:
    unplugged = {"eth0": {"type": "none"}}
    wanted = order(image="mute" if runtime.kind == "simulated" else image, devices=unplugged)
    await runtime.create(wanted, ignore)
    await runtime.start(wanted.hostname)
    began = time.monotonic()

    with pytest.raises(NoAddress):
        await runtime.address(wanted.hostname, 0.5)

    assert time.monotonic() - began < 2


async def test_many_are_made_at_once_each_with_its_own_address(runtime: Runtime, order: MakeOrder) -> None:
    addresses = await asyncio.gather(*(run(runtime, order()) for _ in range(8)))

    assert len(set(addresses)) == 8


async def test_progress_is_told_on_the_event_loop(runtime: Runtime, order: MakeOrder) -> None:
    told: list[Stage] = []

    def hear(stage: Stage, _percent: int | None) -> None:
        asyncio.get_running_loop()  # raises in any other thread
        told.append(stage)

    progress: Progress = hear
    await runtime.create(order(), progress)

    assert Stage.CREATE in told
    assert set(told) <= {Stage.IMAGE, Stage.CREATE}


async def test_a_machine_tells_the_images_it_has_by_the_names_they_are_asked_for(
    runtime: Runtime, order: MakeOrder
) -> None:
    wanted = order()
    await runtime.create(wanted, lambda stage, percent: None)

    assert wanted.image in await runtime.images()


async def test_facts_and_usage_are_those_of_a_machine(runtime: Runtime) -> None:
    facts, usage = await runtime.facts(), await runtime.usage()

    assert facts.runtime == runtime.kind
    assert facts.capacity.cpu_millicores >= 1000
    assert facts.capacity.disk_bytes > usage.disk_used_bytes >= 0
    assert facts.capacity.memory_bytes > usage.memory_used_bytes >= 0
    assert facts.machine_id == (await runtime.facts()).machine_id


async def test_a_command_is_run_and_tells_how_it_ended(runtime: Runtime, order: MakeOrder) -> None:
    """A script that was pushed, here; its directories are made, and pushing it again replaces it."""
    wanted = order()
    await run(runtime, wanted)
    path = "/var/lib/pathfinder-test/deep/script"
    await runtime.push(wanted.hostname, File(path=path, content="exit 1\n"))
    # A shell does what the last line says, the simulation what it reads in the one before.
    script = "echo to-$WHOM\n# simulated:exit=3\nexit 3\n"
    await runtime.push(wanted.hostname, File(path=path, content=script, mode="0700"))

    result = await runtime.execute(
        wanted.hostname, ["/bin/sh", path], timeout_seconds=20, environment={"WHOM": "somebody"}
    )
    well = await runtime.execute(wanted.hostname, ["/bin/true"], timeout_seconds=20)

    assert (result.exit_code, well.exit_code) == (3, 0)
    assert runtime.kind == "simulated" or result.output == "to-somebody\n"


async def test_a_command_that_does_not_end_in_time_is_given_up(runtime: Runtime, order: MakeOrder) -> None:
    wanted = order()
    await run(runtime, wanted)

    with pytest.raises(OperationFailed, match="did not end within 1 s"):
        await runtime.execute(wanted.hostname, ["/bin/sh", "-c", "sleep 5 # simulated:seconds=5"], timeout_seconds=1)


async def test_nothing_is_run_in_an_instance_that_does_not_run(runtime: Runtime, order: MakeOrder) -> None:
    """But files can be written into it."""
    wanted = order()
    await runtime.create(wanted, ignore)

    await runtime.push(wanted.hostname, File(path="/etc/pathfinder-test", content="x"))

    with pytest.raises(OperationFailed):
        await runtime.execute(wanted.hostname, ["/bin/true"], timeout_seconds=10)


async def test_files_of_an_order_are_there_when_it_starts(runtime: Runtime, order: MakeOrder) -> None:
    """And it is of the generation that was ordered, though it was made in two steps."""
    wanted = order(generation=4, files=(File(path="/srv/deep/er/file", content="simulated:exit=0", mode="0600"),))
    await run(runtime, wanted)

    found = await runtime.instance(wanted.hostname)
    read = await runtime.execute(wanted.hostname, ["/bin/cat", "/srv/deep/er/file"], timeout_seconds=20)

    assert found is not None
    assert (found.generation, read.exit_code) == (4, 0)


async def test_how_it_is_looked_after_is_kept_with_it(runtime: Runtime, order: MakeOrder, cluster_id: str) -> None:
    check = {"name": "web", "tcp": {"port": 80}}
    await runtime.create(order(checks=(check,), restart={"replace_after": 2}), ignore)

    (listed,) = await runtime.instances(cluster_id)

    assert (listed.checks, listed.restart) == ((check,), {"replace_after": 2})


async def test_an_update_changes_what_runs_and_leaves_it_running(runtime: Runtime, order: MakeOrder) -> None:
    """What the new order does not have any more goes; updating twice is harmless."""
    wanted = order(checks=({"name": "web", "tcp": {"port": 80}},))
    address = await run(runtime, wanted)
    changed = replace(
        wanted,
        checks=(),
        restart={"enabled": False},
        digest="17",
        environment={"COLOUR": "red"},
        resources=Resources(cpu_millicores=1000, memory_bytes=96 << 20, disk_bytes=256 << 20),
    )

    await runtime.update(changed)
    await runtime.update(changed)

    found = await runtime.instance(wanted.hostname)
    told = await runtime.execute(wanted.hostname, ["/bin/sh", "-c", "echo $COLOUR"], timeout_seconds=20)
    assert found is not None
    assert (found.running, found.checks, found.restart) == (True, (), {"enabled": False})
    assert found.digest == "17"
    assert (found.container_id, found.generation) == (wanted.container_id, wanted.generation)
    assert await runtime.address(wanted.hostname, 5) == address
    assert runtime.kind == "simulated" or told.output == "red\n"
    with pytest.raises(OperationFailed):
        await runtime.update(order())


async def test_who_listens_hears_which_instances_end(runtime: Runtime, order: MakeOrder) -> None:
    """Each that listens, and of nothing else that happens to one."""
    ends, stays = order(), order()
    await runtime.create(ends, ignore)
    await run(runtime, stays)
    heard: list[list[str]] = [[], []]

    async def listen(into: list[str]) -> None:
        async with aclosing(runtime.endings()) as endings:
            async for hostname in endings:
                into.append(hostname)

    listening = [asyncio.create_task(listen(into)) for into in heard]
    async with asyncio.timeout(60):
        while not all(heard):  # they listen only once LXD has let them in
            await runtime.start(ends.hostname)
            await runtime.stop(ends.hostname, 0)
    for task in listening:
        task.cancel()
    await asyncio.wait(listening)

    assert {hostname for into in heard for hostname in into if hostname in (ends.hostname, stays.hostname)} == {
        ends.hostname
    }


async def test_running_instances_tell_what_they_use_and_only_those_of_the_cluster(
    runtime: Runtime, order: MakeOrder, cluster_id: str
) -> None:
    """CPU time and traffic are counted from their start and only grow; who is stopped uses nothing."""
    running, stopped, foreign = order(), order(), order(cluster_id="another cluster")
    await run(runtime, running)
    await runtime.create(stopped, ignore)
    await runtime.create(foreign, ignore)
    await runtime.start(foreign.hostname)

    first = await runtime.usages(cluster_id)
    await runtime.execute(running.hostname, ["true"], timeout_seconds=30)
    second = await runtime.usages(cluster_id)

    await runtime.remove(foreign.hostname)
    assert set(first) == set(second) == {running.container_id}
    before, after = first[running.container_id], second[running.container_id]
    assert after.cpu_seconds >= before.cpu_seconds > 0
    assert before.memory_bytes > 0
    assert before.disk_bytes is None or before.disk_bytes > 0
    assert after.received_bytes + after.sent_bytes >= before.received_bytes + before.sent_bytes >= 0
