"""A node that RabbitMQ does not hear says over the API that it lives, whichever of several APIs is there."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import workers.agent
from pathfinder.bootstrap import Process
from pathfinder.domain.instances import ContainerUsage
from pathfinder.domain.messages import RUNTIME_DOWN, Report
from pathfinder.embedded.ports import free_port
from pathfinder.runtime.port import NodeUsage, RuntimeFailure
from pathfinder.runtime.simulated import SimulatedRuntime
from pathfinder.settings import Settings
from workers.agent.admission import Admission, Membership
from workers.agent.lease import Lease, Right, boot_id, now, write
from workers.agent.pulse import Pulse

ADMISSION = Admission("n", "node-01", "c", "token", 0, 5.0, 15.0)


@asynccontextmanager
async def api(status: str, body: str = "") -> AsyncIterator[str]:
    """An API that answers every request with this status and body; its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def silent() -> AsyncIterator[str]:
    """The host and port of something that accepts connections: not a RabbitMQ that is down."""
    async with api("200 OK") as url:
        yield url.removeprefix("http://")


async def lease_after_a_beat(api_url: str, directory: Path) -> Lease:
    """The lease of an agent without a connection to RabbitMQ, after one beat."""
    async with silent() as broker:
        settings = Settings(api_url=api_url, broker_url=f"amqp://{broker}/", state_dir=directory)
        runtime = SimulatedRuntime()
        membership = Membership(settings, runtime)
        membership._admission = ADMISSION
        lease = Lease(directory / "lease.json")
        await Pulse(settings, membership, runtime, lease).beat()
        return lease


async def test_any_of_several_apis_renews_the_lease(tmp_path: Path) -> None:
    """The others may be dead, or refuse."""
    dead = f"http://127.0.0.1:{free_port(23900)}"
    async with api("401 Unauthorized") as refusing, api("204 No Content") as hearing:
        lease = await lease_after_a_beat(f"{dead}, {refusing},{hearing}", tmp_path)

    assert lease.stands


AWAY = '{"type": "/problems/database-away"}'


async def test_a_lease_is_renewed_while_every_api_says_that_the_database_is_away(tmp_path: Path) -> None:
    """Nobody can be declared dead then."""
    async with api("503 Service Unavailable", AWAY) as one, api("503 Service Unavailable", AWAY) as other:
        lease = await lease_after_a_beat(f"{one},{other}", tmp_path)

    assert lease.stands


@pytest.mark.parametrize("body", ["", "no upstream", "[]", '{"type": "/problems/unavailable"}'])
async def test_a_503_of_anything_else_renews_no_lease(body: str, tmp_path: Path) -> None:
    """A load balancer, or an API whose connections are all in use, does not know that nobody is declared dead."""
    async with api("503 Service Unavailable", AWAY) as away, api("503 Service Unavailable", body) as other:
        lease = await lease_after_a_beat(f"{away},{other}", tmp_path)

    assert not lease.stands


async def test_an_api_without_its_database_renews_no_lease_while_another_api_is_silent(tmp_path: Path) -> None:
    """The silent one may reach the database, and with it whoever declares this node dead."""
    async with api("503 Service Unavailable", AWAY) as away:
        lease = await lease_after_a_beat(f"{away},http://127.0.0.1:{free_port(23900)}", tmp_path)

    assert not lease.stands


@pytest.mark.parametrize("status", ["401 Unauthorized", "502 Bad Gateway"])
async def test_an_api_that_hears_nobody_renews_no_lease(status: str, tmp_path: Path) -> None:
    """And a beat that nobody hears is no error of the agent."""
    async with api(status) as deaf:
        lease = await lease_after_a_beat(f"{deaf},{deaf}", tmp_path)

    assert not lease.stands


async def test_a_lease_that_cannot_be_written_stands_and_leaves_no_old_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A full disk neither ends the beats, nor has the warden go by a lease that is renewed no more."""
    path = tmp_path / "lease.json"
    write(path, Right("c", now(), boot_id()))
    write_bytes = Path.write_bytes

    def full(one: Path, data: bytes) -> int:
        write_bytes(one, data[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    async with api("204 No Content") as hearing:
        lease = await lease_after_a_beat(hearing, tmp_path)

    assert lease.stands
    assert lease.right is not None
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("admitted", [True, False])
async def test_a_lease_that_ran_out_is_renewed_only_after_registering_anew(
    admitted: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Meanwhile the node may have been given up: its new epoch tells which commands in its queue are void."""
    asked = []

    async def rejoin(self: Membership) -> bool:
        asked.append(lease.stands)
        return admitted

    monkeypatch.setattr(Membership, "rejoin", rejoin)
    async with api("204 No Content") as hearing:
        settings = Settings(api_url=hearing, state_dir=tmp_path)
        membership = Membership(settings, SimulatedRuntime())
        membership._admission = ADMISSION
        lease = Lease(tmp_path / "lease.json")
        lease.renew("c", now() - 60, 15)
        await Pulse(settings, membership, SimulatedRuntime(), lease).beat()

    assert asked == [False]
    assert lease.stands == admitted


async def test_a_beat_tells_that_the_runtime_does_not_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The node lives, and can do nothing: whoever hears it must know both."""

    async def broken(_: SimulatedRuntime) -> NodeUsage:
        raise RuntimeFailure("LXD does not answer.")

    monkeypatch.setattr(SimulatedRuntime, "usage", broken)
    told: list[Mapping[str, Any]] = []

    class Heard:
        async def about_node(self, _: Report, body: Mapping[str, Any], *, persistent: bool) -> None:
            told.append(body)

    settings, runtime = Settings(state_dir=tmp_path), SimulatedRuntime()
    membership = Membership(settings, runtime)
    membership._admission = ADMISSION
    lease = Lease(tmp_path / "lease.json")
    pulse = Pulse(settings, membership, runtime, lease)
    pulse.reporter = Heard()  # type: ignore[assignment]
    await pulse.beat()

    assert [one["usage"] for one in told] == [{RUNTIME_DOWN: 1}]
    assert lease.stands


async def test_an_agent_whose_beats_break_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever supervises it starts another one; it must not work on while nobody hears its node."""

    async def join(self: Membership, _: asyncio.Event) -> bool:
        self._admission = ADMISSION
        return True

    async def beat(_: Pulse) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Membership, "join", join)
    monkeypatch.setattr(Pulse, "beat", beat)
    settings = Settings(broker_url=f"amqp://127.0.0.1:{free_port(23910)}/", state_dir=tmp_path)

    with pytest.raises(ExceptionGroup) as broken:
        await workers.agent.serve(Process(settings), SimulatedRuntime())

    assert broken.group_contains(ZeroDivisionError)


async def test_a_heartbeat_says_for_how_long_its_agent_counts_on_it(tmp_path: Path) -> None:
    """By that its own lease is renewed, and whoever grants leases may mean another by now."""
    said = []

    class Heard:
        async def about_node(self, kind: Report, body: dict[str, object], *, persistent: bool) -> None:
            said.append((kind, body["lease_seconds"], persistent))

    settings = Settings(state_dir=tmp_path)
    membership = Membership(settings, SimulatedRuntime())
    membership._admission = ADMISSION
    lease = Lease(tmp_path / "lease.json")
    pulse = Pulse(settings, membership, SimulatedRuntime(), lease)
    pulse.reporter = Heard()  # type: ignore[assignment]

    await pulse.beat()

    assert said == [(Report.HEARTBEAT, ADMISSION.lease_seconds, False)]
    assert lease.stands


async def test_a_heartbeat_tells_each_look_at_the_containers_once_and_waits_for_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What containers use is asked for beside the beats; a beat without news of it is as small as ever."""
    told: list[Mapping[str, Any]] = []

    class Heard:
        async def about_node(self, _: Report, body: Mapping[str, Any], *, persistent: bool) -> None:
            told.append(body)

    async def usages(_: SimulatedRuntime, cluster_id: str) -> dict[str, ContainerUsage]:
        if len(told) > 2:
            raise KeyError(cluster_id)
        return {f"of {cluster_id}": ContainerUsage(1.23456, 1 << 20, 30, 40)}

    monkeypatch.setattr(SimulatedRuntime, "usages", usages)
    settings, runtime = Settings(state_dir=tmp_path), SimulatedRuntime()
    membership = Membership(settings, runtime)
    membership._admission = ADMISSION
    pulse = Pulse(settings, membership, runtime, Lease(tmp_path / "lease.json"))
    pulse.reporter = Heard()  # type: ignore[assignment]

    await pulse.beat()
    await pulse.sampler.look()
    await pulse.beat()
    await pulse.beat()
    await pulse.sampler.look()
    await pulse.beat()

    assert [one.get("containers", {}).get("usages") for one in told] == [
        None,
        {"of c": [1.235, 1 << 20, 30, 40]},
        None,
        None,
    ]
