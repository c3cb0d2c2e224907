"""`pathfinder run` as a process: it tells whether it can work, and ends in good order."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from aio_pika import Message
from aio_pika.abc import AbstractChannel
from sqlalchemy import text
from workbench import serving

from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.domain.instances import InstanceOrder
from pathfinder.domain.messages import Command, Envelope, encode
from pathfinder.store import tokens
from pathfinder.store.clusters import Cluster

ROLES = ("api", "relay", "scheduler", "recorder", "controller")


async def operator(process: Process) -> dict[str, str]:
    """Headers of an operator."""
    async with process.database.begin() as tx:
        return {"Authorization": f"Bearer {await tokens.create(tx, 'tester', 'operator')}"}


def ends(process: "subprocess.Popen[bytes]", number: int = signal.SIGTERM) -> float:
    """Send the signal, wait for exit status 0; the seconds it took."""
    began = time.monotonic()
    process.send_signal(number)
    assert process.wait(15) == 0
    return time.monotonic() - began


async def ready(url: str, status: int) -> dict[str, str]:
    """What `/readyz` says of the parts, once it answers with `status`."""
    deadline = time.monotonic() + 30
    async with httpx2.AsyncClient(trust_env=False) as client:
        while (answer := await client.get(f"{url}/readyz")).status_code != status:
            assert time.monotonic() < deadline, answer.text
        parts: dict[str, str] = answer.json()["parts"]
        return parts


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_every_role_with_status_0_within_ten_seconds(
    process: Process, broker_url: str, channel: AbstractChannel, tmp_path: Path, number: int
) -> None:
    """When all of them are connected and nothing is in hand."""
    url = process.settings.database_url
    with serving(url, broker_url, tmp_path / "log", *ROLES) as (at, running):
        parts = await ready(at, 200)
        assert set(parts) == {"postgresql", *(f"rabbitmq ({role})" for role in ROLES)}

        assert ends(running, number) < 10

    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_an_open_stream_does_not_hold_up_the_end(
    process: Process, cluster: Cluster, broker_url: str, channel: AbstractChannel, tmp_path: Path
) -> None:
    """The stream is ended, and had told what happened until then."""
    headers = await operator(process)
    with serving(process.settings.database_url, broker_url, tmp_path / "log", *ROLES) as (at, running):
        await ready(at, 200)
        async with httpx2.AsyncClient(trust_env=False, headers=headers, base_url=at, timeout=20) as client:
            async with client.stream("GET", "/api/v3/events/stream?container=web") as stream:
                assert stream.status_code == 200
                lines = stream.aiter_lines()
                assert (await client.post("/api/v3/containers", json={"hostname": "web"})).status_code == 201
                seen = []
                async for line in lines:
                    seen.append(line)
                    if line.startswith("event: container.unplaceable"):
                        break
                began = time.monotonic()
                running.send_signal(signal.SIGTERM)
                async for _ in lines:
                    pass
            assert running.wait(15) == 0
            assert time.monotonic() - began < 10

    assert "event: container.requested" in seen
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_readyz_names_the_part_that_is_missing_while_the_rest_works(
    process: Process, cluster: Cluster, tmp_path: Path
) -> None:
    """Without RabbitMQ requests are accepted all the same: the outbox keeps what is to be told."""
    headers = await operator(process)
    away = "amqp://nobody:nothing@127.0.0.1:9/"
    with serving(process.settings.database_url, away, tmp_path / "log", "api", "scheduler") as (at, running):
        parts = await ready(at, 503)
        assert parts.pop("postgresql") == "ok"
        assert set(parts) == {"rabbitmq (api)", "rabbitmq (scheduler)"}
        assert all("not connected" in words for words in parts.values())
        async with httpx2.AsyncClient(trust_env=False, headers=headers, base_url=at) as client:
            assert (await client.post("/api/v3/containers", json={"hostname": "web"})).status_code == 201
        assert ends(running) < 10

    async with process.database.begin() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM outbox"))).scalar_one() == 1


def test_an_address_that_is_taken_ends_it_with_a_clear_word(fresh_url: str, tmp_path: Path) -> None:
    """Exit status 1, not a process that serves nothing."""
    away = "amqp://nobody:nothing@127.0.0.1:9/"
    with serving(fresh_url, away, tmp_path / "first", "api") as (at, first):
        second = subprocess.run(
            first.args,  # type: ignore[arg-type]
            env={"PATHFINDER_DATABASE_URL": fresh_url, "PATHFINDER_API_LISTEN": at.removeprefix("http://")},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert second.returncode == 1
        assert "Set PATHFINDER_API_LISTEN to a free address" in second.stdout + second.stderr
        assert ends(first) < 10


HANGING_AGENT = """
import asyncio, time
from concurrent.futures import ThreadPoolExecutor
import workers.agent
from pathfinder.runtime.simulated import SimulatedRuntime
from pathfinder.settings import Settings
from workers import runner
from workers.agent.admission import Admission, Membership

pool = ThreadPoolExecutor(1)

class Hanging(SimulatedRuntime):
    async def create(self, order, progress):
        print("creating", flush=True)
        await asyncio.get_running_loop().run_in_executor(pool, time.sleep, 3600)

async def join(self, stopping):
    self._admission = Admission("{node}", "{node}", "{cluster}", "", 0, 5.0, 15.0)
    return True

async def agent(process):
    await workers.agent.serve(process, Hanging())

Membership.join = join
raise SystemExit(runner.run({{"agent": agent}}, Settings()))
"""


async def test_an_agent_in_the_middle_of_a_provision_that_hangs_ends_with_status_0(
    broker_url: str, channel: AbstractChannel, tmp_path: Path
) -> None:
    """A thread that LXD never answers does not hold it; its command is there again for the next agent."""
    node, cluster = f"n{uuid4().hex[:8]}", str(uuid4())
    order = InstanceOrder("web", str(uuid4()), 1, cluster, "local:tiny")
    queue = await topology.declare(channel, topology.node_queue(node))
    command = Envelope(Command.PROVISION, cluster, order.container_id, generation=1, body=asdict(order) | {"epoch": 0})
    await channel.default_exchange.publish(Message(encode([command])), queue.name)
    environment = os.environ | {
        "PATHFINDER_BROKER_URL": broker_url,
        "PATHFINDER_STATE_DIR": str(tmp_path),
        "PATHFINDER_STOP_SECONDS": "0.5",
    }
    program = (sys.executable, "-c", HANGING_AGENT.format(node=node, cluster=cluster))
    try:
        with started(program, environment, tmp_path / "log") as agent:
            assert agent.stdout is not None
            assert await asyncio.to_thread(agent.stdout.readline) == b"creating\n", (tmp_path / "log").read_text()
            agent.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(agent.wait, 60) == 0

        again = await queue.get(timeout=30)
        assert again is not None
        assert again.redelivered
        await again.ack()
    finally:
        await channel.queue_delete(queue.name)


@contextmanager
def started(program: Sequence[str], environment: Mapping[str, str], log: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """A process, ended at the end."""
    with (
        log.open("wb") as errors,
        subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        try:
            yield process
        finally:
            process.kill()
