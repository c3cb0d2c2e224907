"""A node that is cut off stops what would run twice, also where its agent and warden have only just started."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

import workers.agent
from pathfinder.bootstrap import Process
from pathfinder.domain.instances import InstanceOrder
from pathfinder.embedded.ports import free_port
from pathfinder.runtime.simulated import Pace, SimulatedRuntime
from pathfinder.settings import Settings
from workers.agent import lease, warden
from workers.agent.lease import Right

ORDER = InstanceOrder("web", "id", 1, "c", "local:tiny")


async def machine() -> SimulatedRuntime:
    """One with a stateless container that runs."""
    made = SimulatedRuntime(pace=Pace(0, 0, 0, 0))
    await made.create(ORDER, lambda *_: None)
    await made.start("web")
    return made


async def until_stopped(runtime: SimulatedRuntime) -> None:
    """Wait until the container does not run."""
    async with asyncio.timeout(30):
        while (await runtime.instance("web")).running:  # type: ignore[union-attr] # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def guarded(runtime: SimulatedRuntime, path: Path) -> AsyncIterator[None]:
    """A guard at work."""
    stopping = asyncio.Event()
    guarding = asyncio.create_task(warden.guard(runtime, partial(lease.read, path), stopping))
    try:
        yield
    finally:
        stopping.set()
        await guarding


@pytest.mark.parametrize("overdue_seconds", [-0.05, 0.0, warden.LONG_OVER_SECONDS / 2])
async def test_a_guard_that_starts_during_a_cut_gives_no_respite(
    overdue_seconds: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A lease that still runs, or ran out just now, is acted on when it is over."""
    monkeypatch.setattr(warden, "START_SECONDS", 3600)
    lease.write(tmp_path / "lease", Right("c", lease.now() - overdue_seconds, lease.boot_id()))
    runtime = await machine()

    async with guarded(runtime, tmp_path / "lease"):
        await until_stopped(runtime)


async def test_what_starts_once_the_lease_is_over_is_stopped_too(tmp_path: Path) -> None:
    """LXD may still carry out a start that nobody waits for any more."""
    lease.write(tmp_path / "lease", Right("c", lease.now() - 1, lease.boot_id()))
    runtime = await machine()

    async with guarded(runtime, tmp_path / "lease"):
        await until_stopped(runtime)
        await runtime.start("web")
        await until_stopped(runtime)


async def test_an_agent_that_cannot_join_stops_what_its_lease_no_longer_allows(tmp_path: Path) -> None:
    """It was restarted while its node is cut off, and the API with everything else is out of reach."""
    nowhere = free_port(23920)
    settings = Settings(
        api_url=f"http://127.0.0.1:{nowhere}", broker_url=f"amqp://127.0.0.1:{nowhere}/", state_dir=tmp_path
    )
    lease.write(tmp_path / warden.LEASE_FILE, Right("c", lease.now(), lease.boot_id()))
    runtime = await machine()
    process = Process(settings)

    serving = asyncio.create_task(workers.agent.serve(process, runtime))
    try:
        await until_stopped(runtime)
    finally:
        process.stopping.set()
        await serving
