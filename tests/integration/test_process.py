"""`pathfinder run` as a process: it tells whether it can work, and ends in good order."""

import signal
import subprocess
import time
from pathlib import Path

import httpx2
import pytest
from aio_pika.abc import AbstractChannel
from sqlalchemy import text
from workbench import serving

from pathfinder.bootstrap import Process
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
