"""Relay and scheduler together, on real PostgreSQL and RabbitMQ: nothing waits for a sweep."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aio_pika.abc import AbstractChannel
from workbench import Fleet, MakeProcess, eventually

import workers.relay
import workers.scheduler
from pathfinder.broker import topology
from pathfinder.domain.messages import Envelope, Report
from pathfinder.store import nodes
from workers.recorder import record_reports

#: How long a machine under load may take; sweeps are a hundred times as rare: only a hint can be the cause.
AT_ONCE_SECONDS = 30
SWEEP_SECONDS = 3000


@pytest.fixture
async def roles(
    fleet: Fleet, make_process: MakeProcess, broker_url: str, channel: AbstractChannel
) -> AsyncIterator[None]:
    """A relay and two schedulers at work, each a process of its own."""
    running = []
    for role in (workers.relay.run, workers.scheduler.run, workers.scheduler.run):
        process = make_process(broker_url=broker_url, sweep_seconds=SWEEP_SECONDS)
        running.append((process, asyncio.create_task(role(process))))

    async def up() -> bool:
        return all(broker.up for process, _ in running for broker in process.brokers.values())

    await eventually(up)
    yield
    for process, task in running:
        process.stopping.set()
        async with asyncio.timeout(30):
            await task
    for number in range(3):
        await channel.queue_delete(topology.node_queue(f"node-{number}").name)


async def reaches(fleet: Fleet, hostname: str, status: str) -> None:
    """Wait until the container has the status."""

    async def has() -> bool:
        return (await fleet.statuses())[hostname] == status

    await eventually(has, AT_ONCE_SECONDS)


async def unplaceable(fleet: Fleet) -> None:
    """Wait until a scheduler has said that it cannot be placed."""

    async def told() -> bool:
        return "container.unplaceable" in await fleet.kinds()

    await eventually(told, AT_ONCE_SECONDS)


@pytest.mark.usefixtures("roles")
async def test_a_request_is_placed_at_once(fleet: Fleet) -> None:
    """Commit, notice, message, decision."""
    await fleet.node("node-0")
    await fleet.ask("web")

    await reaches(fleet, "web", "SCHEDULED")


@pytest.mark.usefixtures("roles")
async def test_a_waiting_container_is_placed_when_a_node_joins(fleet: Fleet) -> None:
    """Without anybody asking again."""
    await fleet.ask("web")
    await unplaceable(fleet)

    await fleet.node("node-0")

    await reaches(fleet, "web", "SCHEDULED")


@pytest.mark.usefixtures("roles")
async def test_a_waiting_container_is_placed_when_a_cordon_is_lifted(fleet: Fleet) -> None:
    """The event says that there is room."""
    await fleet.node("node-0")
    async with fleet.process.database.begin() as tx:
        node = await nodes.find(tx, fleet.cluster_id, "node-0")
        await nodes.set_schedulable(tx, node, False, "test", "")
    await fleet.ask("web")
    await unplaceable(fleet)

    async with fleet.process.database.begin() as tx:
        await nodes.set_schedulable(tx, node, True, "test", "")

    await reaches(fleet, "web", "SCHEDULED")


@pytest.mark.usefixtures("roles")
async def test_a_waiting_container_is_placed_when_room_is_freed(fleet: Fleet) -> None:
    """By a failure of another one."""
    node_id = await fleet.node("node-0", cpu_millicores=1000)
    (first,) = await fleet.ask("first", cpu=1)
    await reaches(fleet, "first", "SCHEDULED")
    await fleet.ask("second", cpu=1)
    await unplaceable(fleet)

    body = {"node_id": str(node_id), "hostname": "first", "reason": "no image"}
    async with fleet.process.database.begin() as tx:
        await record_reports(tx, [Envelope(Report.PROVISION_FAILED, str(fleet.cluster_id), str(first), 1, body=body)])

    await reaches(fleet, "second", "SCHEDULED")
    await fleet.assert_claims_add_up()


@pytest.mark.usefixtures("roles")
async def test_many_requests_and_nodes_that_join_one_by_one_are_all_served(fleet: Fleet) -> None:
    """Room appears while others are judged: nobody is left waiting beside an empty node."""
    await fleet.ask(*(f"c-{number}" for number in range(30)), cpu=0.8)
    for number in range(3):
        await fleet.node(f"node-{number}")

    async def placed() -> bool:
        return set((await fleet.statuses()).values()) == {"SCHEDULED"}

    await eventually(placed, AT_ONCE_SECONDS)
    await fleet.assert_claims_add_up()
