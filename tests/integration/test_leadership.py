"""Of several controllers one leads; another takes over when it dies, hangs, or loses PostgreSQL."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from aio_pika.abc import AbstractChannel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from workbench import Fleet, MakeProcess, administer, eventually

from pathfinder.bootstrap import Process
from pathfinder.domain.errors import Contended, TooSlow, Unavailable
from pathfinder.store import leadership, nodes
from pathfinder.store.leadership import IDLE_SECONDS, PROOF_SECONDS, Leadership, LeadershipLost
from workers.leadership import while_leading

#: A lead that nobody gives up is free again by then, and followers ask every second; the rest is for a busy machine.
TAKEOVER_SECONDS = IDLE_SECONDS + 20


@contextmanager
def controller(database_url: str, broker_url: str, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`pathfinder run controller`, killed at the end."""
    environment = os.environ | {"PATHFINDER_DATABASE_URL": database_url, "PATHFINDER_BROKER_URL": broker_url}
    program = (sys.executable, "-m", "pathfinder.cli.operator", "run", "controller")
    with log.open("wb") as output, subprocess.Popen(program, env=environment, stdout=output, stderr=output) as process:
        try:
            yield process
        finally:
            process.kill()


async def leader(fleet: Fleet) -> int | None:
    """The process id of whoever holds the lock, None while nobody does."""
    rows = await fleet.rows(
        """
        SELECT a.application_name FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
        WHERE l.locktype = 'advisory' AND l.granted AND a.application_name LIKE '% controller leader %'
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """
    )
    assert len(rows) <= 1
    return int(str(rows[0][0]).rsplit(" ", 1)[1]) if rows else None


async def leads(fleet: Fleet, *pids: int) -> int:
    """Wait until one of these processes leads; which."""

    async def one_does() -> bool:
        return await leader(fleet) in pids

    await eventually(one_does, TAKEOVER_SECONDS)
    found = await leader(fleet)
    assert found is not None
    return found


async def test_a_follower_judges_nodes_once_the_leader_is_killed(
    process: Process, fleet: Fleet, broker_url: str, channel: AbstractChannel, tmp_path: Path
) -> None:
    """It grants fresh leases first, so that nobody goes down for the time without a leader."""
    await fleet.node("silent")
    with ExitStack() as stack:
        started = [
            stack.enter_context(controller(process.settings.database_url, broker_url, tmp_path / name))
            for name in ("first", "second")
        ]
        by_pid = {one.pid: one for one in started}
        former = await leads(fleet, *by_pid)
        await fleet.rows("UPDATE leases SET until = now() - interval '1 hour' RETURNING node_id")
        by_pid.pop(former).kill()
        await leads(fleet, *by_pid)

        async def renewed() -> bool:
            return await fleet.rows("SELECT node_id FROM leases WHERE until > now()") != []

        await eventually(renewed)
        assert "node.down" not in await fleet.kinds()
        await fleet.rows("UPDATE leases SET until = now() - interval '1 hour' RETURNING node_id")

        async def down() -> bool:
            return "node.down" in await fleet.kinds()

        await eventually(down)


async def test_a_leader_that_hangs_is_replaced_and_does_not_act_when_it_wakes(
    process: Process, fleet: Fleet, broker_url: str, channel: AbstractChannel, tmp_path: Path
) -> None:
    """PostgreSQL ends its session, for the kernel would answer keepalives for a stopped process for ever."""
    with ExitStack() as stack:
        started = [
            stack.enter_context(controller(process.settings.database_url, broker_url, tmp_path / name))
            for name in ("first", "second")
        ]
        logs = {one.pid: tmp_path / name for one, name in zip(started, ("first", "second"), strict=True)}
        former = await leads(fleet, *logs)
        os.kill(former, signal.SIGSTOP)
        follower = await leads(fleet, *(logs.keys() - {former}))
        os.kill(former, signal.SIGCONT)

        async def stepped_down() -> bool:
            return "not leading" in logs[former].read_text()

        await eventually(stepped_down)
        assert await leader(fleet) == follower


@pytest.fixture
async def sessions(make_process: MakeProcess) -> AsyncIterator[tuple[AsyncConnection, AsyncConnection]]:
    """Two sessions that would lead."""
    database = make_process().database
    async with leadership.session(database, "test") as first, leadership.session(database, "test") as second:
        yield first, second


async def test_only_one_leads_and_the_lock_ends_with_its_session(
    process: Process, sessions: tuple[AsyncConnection, AsyncConnection]
) -> None:
    """Also from within one process."""
    async with leadership.session(process.database, "test") as session:
        held = await leadership.take(session, "test")
        assert held is not None
        assert held.held
        assert await leadership.take(sessions[1], "test") is None
        assert await leadership.take(sessions[1], "another") is not None
    assert await leadership.take(sessions[1], "test") is not None


async def test_a_transaction_that_gives_way_to_others_does_not_cost_the_lead(
    process: Process, sessions: tuple[AsyncConnection, AsyncConnection]
) -> None:
    """PostgreSQL answered, and so the session lives: nothing is begun anew for it."""
    lead = await leadership.take(sessions[0], "test")
    assert lead is not None
    async with process.database.begin() as tx:
        await tx.execute(text("SELECT pg_advisory_xact_lock(1)"))
        with pytest.raises(Contended):
            async with lead.begin() as mine:
                await mine.execute(text("SELECT pg_advisory_xact_lock(1)"))
    async with lead.begin() as mine:
        await mine.execute(text("SET statement_timeout = '50ms'"))
    with pytest.raises(TooSlow):
        async with lead.begin() as mine:
            await mine.execute(text("SELECT pg_sleep(60)"))

    assert lead.held
    await lead.prove()
    assert await leadership.take(sessions[1], "test") is None
    assert leadership.LOCK_SECONDS < PROOF_SECONDS


async def test_a_transaction_of_a_leader_whose_session_ended_does_not_commit(
    process: Process, fleet: Fleet, sessions: tuple[AsyncConnection, AsyncConnection]
) -> None:
    """Whatever it was about to write, its follower may have written otherwise already."""
    node = await fleet.node("kept")
    lead = await leadership.take(sessions[0], "test")
    assert lead is not None

    async def write() -> None:
        async with lead.begin() as tx:
            await nodes.delete(tx, nodes.Node(node, fleet.cluster_id, "kept"), "test", "")
            await _end(process, tx)

    with pytest.raises(Unavailable):
        await write()
    assert not lead.held
    with pytest.raises(LeadershipLost):
        async with lead.begin():
            pass
    assert await leadership.take(sessions[1], "test") is not None
    assert await fleet.rows("SELECT hostname FROM nodes") == [("kept",)]


async def test_a_leader_without_a_fresh_proof_does_not_act(
    sessions: tuple[AsyncConnection, AsyncConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long before PostgreSQL gives the lock to another."""
    lead = await leadership.take(sessions[0], "test")
    assert lead is not None
    await lead.prove()
    slept = leadership._now() + PROOF_SECONDS
    monkeypatch.setattr(leadership, "_now", lambda: slept)
    assert not lead.held
    with pytest.raises(LeadershipLost):
        async with lead.begin():
            pass
    assert PROOF_SECONDS < IDLE_SECONDS


async def test_work_is_cancelled_when_the_lead_is_lost_and_begun_anew_when_it_is_back(process: Process) -> None:
    """And what this process leads is told all the while."""
    leads_: asyncio.Queue[Leadership] = asyncio.Queue()
    ended: asyncio.Queue[bool] = asyncio.Queue()

    async def work(lead: Leadership) -> None:
        leads_.put_nowait(lead)
        try:
            await process.stopping.wait()
        finally:
            ended.put_nowait(process.stopping.is_set())

    async with asyncio.timeout(40):
        running = asyncio.create_task(while_leading(process, "test", work))
        first = await leads_.get()
        assert process.leading == {"test"}
        with pytest.raises(Unavailable):
            async with first.begin() as tx:
                await _end(process, tx)
        assert await ended.get() is False
        assert await leads_.get() is not first
        process.stopping.set()
        await running
    assert await ended.get() is True
    assert process.leading == set()


async def test_an_error_of_the_work_is_raised_and_gives_the_lead_back(process: Process) -> None:
    """A mistake must not look like a lost lead."""

    async def work(_: Leadership) -> None:
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        await while_leading(process, "test", work)
    async with leadership.session(process.database, "test") as session:
        assert await leadership.take(session, "test") is not None


async def _end(process: Process, tx: AsyncConnection) -> None:
    """Have PostgreSQL end the session of a transaction."""
    pid = (await tx.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    await administer(process.settings.database_url, f"SELECT pg_terminate_backend({pid}, 5000)")
