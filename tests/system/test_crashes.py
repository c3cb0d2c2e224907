"""Processes that die at the worst moment: every container ends up running exactly once."""

import asyncio
import os
import signal
from functools import partial

import pytest
from harness import DEADLINE_SECONDS, Harness

from pathfinder.domain.lifecycle import Status
from pathfinder.domain.messages import Envelope, Exchange, Kind
from pathfinder.embedded.roles import CONTROL_PLANE
from pathfinder.embedded.supervisor import wait_until

pytestmark = pytest.mark.lab


async def test_an_agent_killed_while_it_provisions_finishes_when_it_is_back(harness: Harness) -> None:
    """What it had begun is neither lost nor made twice."""
    names = [f"orphan-{number}" for number in range(6)]
    await harness.only("node-01")
    await harness.ask(*names)

    async def begun() -> object:
        return (await harness.instances("node-01")).keys() & set(names)

    await harness.until("the first instance", begun)
    harness.lab.kill_role("agent", "node-01")

    made = await harness.settled(*names)
    assert {one.status for one in made.values()} == {Status.PROVISIONED}
    await harness.exactly(*names)


async def test_an_agent_that_was_down_gets_its_commands_when_it_is_back(harness: Harness) -> None:
    """Commands wait in the node's queue, creates and deletes alike."""
    await harness.only("node-02")
    await harness.create("leaving")
    await asyncio.to_thread(harness.lab.stop_role, "agent", "node-02")
    try:
        await harness.ask("coming-1", "coming-2")
        await harness.client.containers.delete("leaving")
        for name in ("coming-1", "coming-2"):
            assert (await harness.status(name, Status.SCHEDULED)).node == "node-02"
        assert (await harness.client.containers.get("leaving")).status == Status.SCHEDULE_DELETION
    finally:
        harness.lab.start_role("agent", "node-02")

    await harness.gone("leaving")
    await harness.settled("coming-1", "coming-2")
    await harness.exactly("coming-1", "coming-2")


async def test_a_scheduler_killed_between_claim_and_publish_loses_no_command(harness: Harness) -> None:
    """The commands are committed with the claim, so whoever publishes next publishes them."""
    names = [f"claimed-{number}" for number in range(6)]
    await asyncio.to_thread(harness.lab.stop_role, "relay")
    try:
        asked = await harness.ask(*names)
        # No relay, so nobody tells the scheduler: this hint does, in its place.
        (cluster,) = await harness.sql("SELECT id::text FROM clusters WHERE name = 'default'")
        hint = Envelope(Kind.CONTAINER_REQUESTED, cluster["id"], str(asked[0].id))
        await harness.publish(Exchange.EVENTS, Kind.CONTAINER_REQUESTED, [hint])
        for name in names:
            await harness.status(name, Status.SCHEDULED)
        waiting = await harness.sql("SELECT routing_key FROM outbox WHERE exchange = $1", Exchange.COMMANDS)
        assert {row["routing_key"] for row in waiting} == set(harness.lab.nodes())
        assert await harness.mistakes_in_the_books() == []
        assert await harness.placements() == []
        harness.lab.kill_role("scheduler")
    finally:
        harness.lab.start_role("relay")
    harness.lab.kill_role("relay")

    made = await harness.settled(*names)
    assert {one.id: one.generation for one in made.values()} == {one.id: one.generation + 1 for one in asked}
    await harness.exactly(*names)


async def test_control_plane_roles_killed_during_a_burst_cost_no_container(harness: Harness) -> None:
    """Twelve are asked for, each role dies on the way, and twelve run: each once, and every claim is accounted for."""
    names = [f"burst-{number}" for number in range(12)]
    before = {role: harness.lab.supervisor.pid(role) for role in CONTROL_PLANE}

    async def kill() -> None:
        # One after another, each once more of the containers are there than when the last one died.
        for there, role in enumerate(("recorder", "relay", "api", "controller", "scheduler")):
            await _placed(harness, 2 * there + 1)
            harness.lab.kill_role(role)

    async with asyncio.TaskGroup() as burst:
        burst.create_task(kill())
        for name in names:
            burst.create_task(harness.ask_stubbornly(name))

    await harness.settled(*names)
    await harness.exactly(*names)
    for role, former in before.items():
        await asyncio.to_thread(wait_until, f"a new {role}", partial(_is_new, harness, role, former), DEADLINE_SECONDS)


@pytest.mark.parametrize("service", ["rabbitmq", "postgres"])
async def test_a_service_killed_during_a_burst_costs_no_container(harness: Harness, service: str) -> None:
    """Whoever needs it waits, and nothing that was confirmed is lost."""
    names = [f"served-{number}" for number in range(6)]
    before = harness.lab.supervisor.pid(service)

    async def kill() -> None:
        await _placed(harness, 1)
        # All of it: RabbitMQ is a child of the script that starts it, and outlives that one.
        os.killpg(os.getpgid(before), signal.SIGKILL)

    async with asyncio.TaskGroup() as burst:
        burst.create_task(kill())
        for name in names:
            burst.create_task(harness.ask_stubbornly(name))

    await asyncio.to_thread(
        wait_until, f"a new {service}", partial(_is_new, harness, service, before), DEADLINE_SECONDS
    )
    await harness.settled(*names)
    await harness.exactly(*names)


async def _placed(harness: Harness, count: int) -> None:
    async def placed() -> bool:
        return len(await harness.placements()) >= count

    await harness.until(f"{count} instances", placed)


def _is_new(harness: Harness, role: str, former: int) -> bool:
    return harness.lab.supervisor.pid(role) not in (0, former)
