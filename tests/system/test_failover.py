"""Where everything is there twice, any one of it may die: what was accepted is done, and new requests are accepted."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from harness import SETTINGS, Harness

from pathfinder.broker import topology
from pathfinder.embedded.lab import Lab
from pathfinder.embedded.roles import CONTROL_PLANE

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def ha_lab() -> Iterator[Lab]:
    """A lab of one node, with two of each role, three RabbitMQ nodes, and a PostgreSQL with a standby."""
    with tempfile.TemporaryDirectory(prefix="pf-") as directory:
        made = Lab(Path(directory) / "ha", SETTINGS)
        try:
            made.up(nodes=1, ha=True)
            yield made
        finally:
            made.down()


@pytest_asyncio.fixture
async def available(ha_lab: Lab) -> AsyncIterator[Harness]:
    """That lab, watched from all sides."""
    async with Harness.of(ha_lab) as made:
        await made.tidy()
        yield made


async def test_a_create_completes_while_the_node_that_leads_the_queues_is_dead(available: Harness) -> None:
    """The other two elect a leader, consumers go on, and whoever was connected to the dead one connects elsewhere."""
    lab = available.lab
    leader = await asyncio.to_thread(lab.queue_leader, topology.RECORDER.name)
    asked = asyncio.create_task(available.ask_stubbornly("asked-before"))
    await asyncio.to_thread(lab.kill_broker, leader)
    await asked
    await available.ask_stubbornly("asked-after")

    await available.settled("asked-before", "asked-after")
    await available.exactly("asked-before", "asked-after")


async def test_one_of_each_role_does_the_work_when_the_others_are_dead(available: Harness) -> None:
    """The second api is found by the client, and the second controller leads."""
    lab = available.lab
    for role in CONTROL_PLANE:
        lab.kill_role(role)
        await asyncio.to_thread(lab.stop_role, role)  # else it would be there again at once
    try:
        await available.ask_stubbornly("alone")
        await available.settled("alone")
        await available.exactly("alone")
        await available.until("another leader", lambda: _leads(available, "controller-2"))
    finally:
        for role in CONTROL_PLANE:
            lab.start_role(role)


async def test_requests_are_accepted_again_soon_after_the_standby_died(available: Harness) -> None:
    """Commits wait for it, and it is started again by itself."""
    await asyncio.to_thread(available.lab.kill_standby)
    await available.ask_stubbornly("after-the-standby")

    await available.settled("after-the-standby")
    await available.exactly("after-the-standby")


async def test_every_accepted_request_survives_the_promotion_of_the_standby(available: Harness) -> None:
    """A commit is told only when the standby has it. What was refused meanwhile is asked for again."""
    lab = available.lab
    names = [f"kept-{number:02}" for number in range(12)]
    accepted: list[str] = []

    async def ask() -> None:
        for name in names:
            await available.ask_stubbornly(name)
            accepted.append(name)

    asking = asyncio.create_task(ask())
    await available.until("some to be accepted", lambda: _length(accepted, 3))
    await asyncio.to_thread(lab.kill_primary)
    before = set(accepted)
    await asyncio.to_thread(lab.promote_standby)

    there = {one.hostname for one in await available.until("the new primary", available.containers)}
    assert before <= there
    await asking
    await available.settled(*names)
    await available.exactly(*names)


async def _length(found: list[str], wanted: int) -> bool:
    return len(found) >= wanted


async def _leads(harness: Harness, program: str) -> bool:
    pid = await asyncio.to_thread(harness.lab.supervisor.pid, program)
    return bool(
        await harness.sql(
            """
            SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
            WHERE l.locktype = 'advisory' AND l.granted AND a.application_name = $1
            """,
            f"pathfinder controller leader {pid}",
        )
    )
