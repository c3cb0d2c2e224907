"""Nodes that die, hang, are cut off, lose their disk and come back: on real machines, with real containers."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

import pytest
from harness import Harness

from pathfinder.domain.lifecycle import ContainerType, Status
from pathfinder.domain.views import Container
from workers.agent import lease, warden

pytestmark = pytest.mark.lab

NODE, OTHERS = "node-03", ("node-01", "node-02")


Made = dict[str, Container]


async def settle_on_one_node(harness: Harness) -> Made:
    """Two stateless containers and a stateful one, all on `NODE`; from then on there is room everywhere."""
    await harness.only(NODE)
    await harness.ask("walker-1", "walker-2")
    await harness.ask("keeper", type=ContainerType.STATEFUL)
    made = await harness.settled("walker-1", "walker-2", "keeper")
    await harness.only(*harness.lab.nodes())
    return made


async def moved(harness: Harness, made: Made, *hostnames: str) -> None:
    """Return once these run elsewhere, each placed once more."""
    for hostname in hostnames:

        async def check(hostname: str = hostname) -> bool:
            found = await harness.client.containers.get(hostname)
            once_more = found.generation == made[hostname].generation + 1
            return found.status == Status.PROVISIONED and once_more and found.node in OTHERS

        await harness.until(f"{hostname} to run elsewhere", check)


async def unmoved(harness: Harness, made: Made) -> None:
    """Return once all run, and check that none was placed anew."""
    await harness.exactly(*made)
    assert {one.hostname: one.generation for one in await harness.containers()} == {
        name: one.generation for name, one in made.items()
    }


async def back_in_place(harness: Harness, made: Made) -> None:
    """The stateful one goes on where it was; nothing runs twice."""
    await harness.ready(NODE)
    keeper = await harness.status("keeper", Status.PROVISIONED)
    assert (keeper.node, keeper.generation) == (NODE, made["keeper"].generation)
    await harness.exactly("walker-1", "walker-2", "keeper")


async def first_seen_stopped(harness: Harness, *hostnames: str) -> datetime:
    """When all of these were first seen not to run on `NODE`, by its LXD."""

    async def check() -> datetime | None:
        there = await harness.instances(NODE)
        stopped = all(name not in there or there[name]["status"] == "Stopped" for name in hostnames)
        return datetime.now(UTC) if stopped else None

    return await harness.until(f"{', '.join(hostnames)} to be stopped on {NODE}", check)


async def run_of(harness: Harness, hostname: str) -> tuple[str, int]:
    """Its status on `NODE`, and the process id of its init: another one if it was started anew."""
    there = (await harness.instances(NODE))[hostname]
    return there["status"], there["state"]["pid"]


async def replaced_at(harness: Harness, *hostnames: str) -> datetime:
    """When the first of these was put before the scheduler again."""
    subjects = {(await harness.client.containers.get(hostname)).id for hostname in hostnames}

    async def check() -> datetime | None:
        times = [
            one.at
            for one in await harness.events()
            if one.kind == "container.rescheduled" and one.subject.id in subjects
        ]
        return min(times) if len(times) == len(subjects) else None

    return await harness.until("the containers to be placed anew", check)


@contextmanager
def partitioned(harness: Harness) -> Iterator[None]:
    """`NODE`, cut off from everything."""
    harness.lab.partition(NODE)
    try:
        yield
    finally:
        harness.lab.heal(NODE)


@contextmanager
def hung_agent(harness: Harness) -> Iterator[None]:
    """`NODE` with an agent that stands still."""
    supervisor = harness.lab.supervisor_of(NODE)
    supervisor.signal("agent", "STOP")
    try:
        yield
    finally:
        supervisor.signal("agent", "CONT")


async def test_a_dead_machines_stateless_containers_run_elsewhere_and_it_comes_back_clean(harness: Harness) -> None:
    """What has its disk there waits for it; what was replaced is removed before the node is READY again."""
    made = await settle_on_one_node(harness)

    harness.lab.kill(NODE)
    try:
        await harness.ready(NODE, "DOWN")
        await moved(harness, made, "walker-1", "walker-2")
        keeper = await harness.status("keeper", Status.LOST)
        assert (keeper.node, keeper.message) == (NODE, f"Its node {NODE} is down.")
    finally:
        await asyncio.to_thread(harness.lab.start, NODE)

    await back_in_place(harness, made)


@pytest.mark.parametrize("fault", [partitioned, hung_agent])
async def test_a_node_that_is_not_heard_stops_what_is_replaced_before_it_is_replaced(
    harness: Harness, fault: Callable[[Harness], AbstractContextManager[None]]
) -> None:
    """By LXD's word and the event log's times; its stateful container runs on, and healed it holds no double."""
    made = await settle_on_one_node(harness)
    before = await run_of(harness, "keeper")

    with fault(harness):
        stopped = await first_seen_stopped(harness, "walker-1", "walker-2")
        assert stopped < await replaced_at(harness, "walker-1", "walker-2")
        await moved(harness, made, "walker-1", "walker-2")
        assert await run_of(harness, "keeper") == before

    await back_in_place(harness, made)
    assert await run_of(harness, "keeper") == before


async def test_a_reboot_within_the_lease_moves_nothing(harness: Harness) -> None:
    """Every container is started again where it was."""
    made = await settle_on_one_node(harness)

    harness.lab.kill(NODE)
    await asyncio.to_thread(harness.lab.start, NODE)

    await unmoved(harness, made)


async def test_an_announced_reboot_may_take_longer_than_the_lease(harness: Harness) -> None:
    """`pfi cordon node NAME --reboot-within 5m`: nothing is replaced meanwhile."""
    made = await settle_on_one_node(harness)
    await harness.client.nodes.cordon(NODE, reboot_within=300)

    harness.lab.kill(NODE)
    try:

        async def lease_is_over() -> bool:
            found = await harness.client.nodes.get(NODE)
            return found.lease_until is not None and found.lease_until < datetime.now(UTC)

        await harness.until("the lease to end", lease_is_over)
        assert (await harness.client.nodes.get(NODE)).status == "READY"
    finally:
        await asyncio.to_thread(harness.lab.start, NODE)

    await unmoved(harness, made)


async def test_a_machine_with_a_new_disk_does_not_pretend_to_hold_the_old_one(harness: Harness) -> None:
    """Stateless containers run again somewhere; a stateful one is LOST, and made anew only when somebody says so."""
    await settle_on_one_node(harness)

    harness.lab.kill(NODE)
    shutil.rmtree(harness.lab.socket(NODE).parent)
    await asyncio.to_thread(harness.lab.start, NODE)

    async def says_so() -> bool:
        keeper = await harness.client.containers.get("keeper")
        return keeper.status == Status.LOST and "is not on its node any more" in str(keeper.message)

    await harness.until("the stateful container's word that its disk is gone", says_so)
    await harness.ready(NODE)

    await harness.client.containers.reschedule("keeper")

    await harness.exactly("walker-1", "walker-2", "keeper")


async def test_with_no_control_plane_to_be_heard_by_containers_run_on(harness: Harness) -> None:
    """RabbitMQ and the API end: nobody could replace anything, so nothing is stopped."""
    made = await settle_on_one_node(harness)
    before = [await run_of(harness, hostname) for hostname in made]

    # In this order: a RabbitMQ that takes its time to end neither hears nor refuses, which is what a cut is like.
    await asyncio.to_thread(harness.lab.stop_role, "rabbitmq")
    await asyncio.to_thread(harness.lab.stop_role, "api")
    try:
        path = harness.lab.home.root / "nodes" / NODE / "agent" / warden.LEASE_FILE

        async def renewed() -> bool:
            right = lease.read(path)
            return right is not None and right.until > ends.until + 4

        ends = lease.read(path)
        assert ends is not None
        await harness.until("the lease to be renewed without them", renewed)
    finally:
        harness.lab.start_role("rabbitmq")
        harness.lab.start_role("api")

    await harness.exactly("walker-1", "walker-2", "keeper")
    assert [await run_of(harness, hostname) for hostname in made] == before
