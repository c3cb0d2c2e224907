"""Every role answers for itself: whether it can work, and what it counts."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest
from aio_pika.abc import AbstractChannel
from prometheus_client.parser import text_string_to_metric_families
from workbench import Fleet, eventually, serving

from pathfinder.bootstrap import Process
from pathfinder.domain.errors import Invalid
from pathfinder.embedded.ports import free_port
from pathfinder.settings import Settings
from workers.listener import PORTS, STEP, listening

ROLES = ("relay", "scheduler", "recorder", "controller")


@contextmanager
def running(role: str, log: Path, **settings: str) -> Iterator[str]:
    """`pathfinder run ROLE` as a process; the address it was told to answer at."""
    address = f"127.0.0.1:{free_port(25100)}"
    given = {f"PATHFINDER_{name.upper()}": value for name, value in settings.items()}
    environment = os.environ | {"PATHFINDER_HEALTH_LISTEN": address} | given
    program = (sys.executable, "-m", "pathfinder.cli.operator", "run", role)
    with log.open("wb") as output, subprocess.Popen(program, env=environment, stdout=output, stderr=output) as started:
        try:
            yield address
        finally:
            started.send_signal(signal.SIGTERM)
            assert started.wait(15) == 0, log.read_text()


async def ask(address: str, path: str) -> httpx2.Response:
    """The answer, once there is one."""
    found: list[httpx2.Response] = []

    async def answered() -> bool:
        with suppress(httpx2.TransportError):
            found.append(await client.get(f"http://{address}{path}"))
        return bool(found)

    async with httpx2.AsyncClient(trust_env=False, timeout=5) as client:
        await eventually(answered, 30)
    return found[0]


async def samples(address: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """What `/metrics` says, as Prometheus reads it."""
    answer = await ask(address, "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in text_string_to_metric_families(answer.text)
        for one in family.samples
    }


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_by_itself_says_how_it_is(
    process: Process, broker_url: str, channel: AbstractChannel, tmp_path: Path, role: str
) -> None:
    """Ready when its parts are, and its metrics are Prometheus's."""
    settings = {"database_url": process.settings.database_url, "broker_url": broker_url}
    with running(role, tmp_path / "log", **settings) as address:

        async def ready() -> bool:
            return (await ask(address, "/readyz")).status_code == 200

        assert (await ask(address, "/healthz")).json() == {"status": "ok"}
        await eventually(ready, 15)
        document = (await ask(address, "/readyz")).json()
        assert document == {
            "status": "ok",
            "parts": {"postgresql": "ok", f"rabbitmq ({role})": "ok"},
            "since": {},
        }
        found = await samples(address)
        assert found["pathfinder_role", frozenset({("role", role)})] == 1
        assert found["pathfinder_part_up", frozenset({("part", "postgresql")})] == 1
        assert found["pathfinder_broker_connects_total", frozenset({("role", role)})] == 1


async def test_an_agent_says_how_it_is_and_needs_no_database(tmp_path: Path) -> None:
    """Nobody admits it here: it has no part yet, and answers all the same."""
    settings = {
        "runtime": "simulated",
        "state_dir": str(tmp_path),
        "api_url": "http://127.0.0.1:9",
        "stop_seconds": "1",
    }
    with running("agent", tmp_path / "log", **settings) as address:
        document = (await ask(address, "/readyz")).json()
        assert "postgresql" not in document["parts"]
        found = await samples(address)
        assert found["pathfinder_role", frozenset({("role", "agent")})] == 1


async def test_readyz_says_since_when_a_part_is_away(process: Process, tmp_path: Path) -> None:
    """And keeps to it: asked again, it is the same moment."""
    settings = {"database_url": process.settings.database_url, "broker_url": "amqp://nobody:nothing@127.0.0.1:9/"}
    with running("scheduler", tmp_path / "log", **settings) as address:
        first, again = await ask(address, "/readyz"), await ask(address, "/readyz")

    assert first.status_code == 503
    assert first.json()["parts"] == {"postgresql": "ok", "rabbitmq (scheduler)": "not connected; trying again"}
    assert first.json()["since"].keys() == {"rabbitmq (scheduler)"}
    assert again.json() == first.json()


async def test_the_api_gives_its_metrics_on_its_own_address(
    process: Process, broker_url: str, channel: AbstractChannel, tmp_path: Path
) -> None:
    """By route, not by path, so that names do not become labels."""
    with serving(process.settings.database_url, broker_url, tmp_path / "log", "api") as (url, _):
        address = url.removeprefix("http://")
        await ask(address, "/api/v3/containers/some-name")
        await ask(address, "/api/v3/no-such-route")
        found = await samples(address)

    def count(route: str, status: str) -> float:
        labels = {("method", "GET"), ("route", route), ("status", status)}
        return found["pathfinder_http_requests_total", frozenset(labels)]

    assert count("/api/v3/containers/{hostname}", "401") == 1
    assert count("none", "404") == 1


async def test_the_api_counts_the_whole(process: Process, fleet: Fleet, api: httpx2.AsyncClient) -> None:
    """Nodes, containers and what waits, as the store has them at that moment; and nothing old."""
    await fleet.node("node-01")
    await fleet.ask("web-01")

    async def counted() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        answer = await api.get("http://pathfinder/metrics")
        families = text_string_to_metric_families(answer.text)
        return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}

    found = await counted()
    assert found["pathfinder_nodes", frozenset({("state", "ready")})] == 1
    assert found["pathfinder_containers", frozenset({("status", "PENDING")})] == 1
    assert found["pathfinder_health", frozenset({("state", "down")})] == 1
    assert found["pathfinder_outbox_rows", frozenset()] >= 1


def listener(make_process: object, roles: tuple[str, ...], **settings: str) -> Process:
    """A process that runs `roles`."""
    made: Process = make_process(**settings)  # type: ignore[operator]
    made.roles = roles
    return made


async def test_two_processes_of_a_role_have_ports_of_their_own(make_process: object) -> None:
    """The second one's is higher by ten, or more where that is taken, too."""
    first, second = listener(make_process, ("relay",)), listener(make_process, ("relay",))
    async with listening(first), listening(second):
        assert first.listen
        assert second.listen
        ports = [int(each.listen.rpartition(":")[2]) for each in (first, second) if each.listen]

    assert ports[0] < ports[1]
    assert all((port - PORTS["relay"]) % STEP == 0 for port in ports)


async def test_a_role_works_without_a_listener_where_the_address_is_taken(make_process: object) -> None:
    """Work never waits for its watchers."""
    address = f"127.0.0.1:{free_port(25200)}"
    first = listener(make_process, ("relay",), health_listen=address)
    second = listener(make_process, ("relay",), health_listen=address)
    async with listening(first), listening(second):
        assert first.listen == address
        assert second.listen is None


async def test_an_empty_setting_turns_it_off(make_process: object) -> None:
    """Nothing listens."""
    quiet = listener(make_process, ("relay",), health_listen="")
    async with listening(quiet):
        assert quiet.listen is None


@pytest.mark.parametrize("wrong", ["127.0.0.1:http", "http://127.0.0.1:9841", "127.0.0.1:99999", "::1"])
async def test_what_is_no_address_is_refused(make_process: object, wrong: str) -> None:
    """At the start, with a word on what to write."""
    with pytest.raises(Invalid, match="write HOST or HOST:PORT"):
        async with listening(listener(make_process, ("relay",), health_listen=wrong)):
            await asyncio.Event().wait()


def test_ports_are_below_those_of_outgoing_connections() -> None:
    """Which begin at 32768; one of those might have taken a role's port."""
    assert max(PORTS.values()) < 32768
    assert Settings.model_fields["health_listen"].default == "127.0.0.1"
