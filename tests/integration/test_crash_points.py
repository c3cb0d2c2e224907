"""A process that dies at any named step: what was asked for is done once all the same, and every book balances."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from aio_pika.abc import AbstractChannel
from chaos import gather
from chaos.checker import check
from chaos.evidence import Answered, Evidence, Request
from chaos.machine import read_instances
from sqlalchemy import text
from workbench import MakeProcess, eventually

import api.serve
import workers.agent
import workers.controller
import workers.recorder
import workers.relay
import workers.scheduler
from pathfinder.bootstrap import Process
from pathfinder.domain.deployments import DeploymentSpec
from pathfinder.embedded.ports import free_port
from pathfinder.store import deployments, listing, rollouts, tokens
from pathfinder.store.clusters import Cluster
from pathfinder.store.requests import Asker

ROOT = Path(__file__).parents[2]

#: Each point, and the role whose process dies there.
POINTS = {
    "api.create.written": "api",
    "api.create.committed": "api",
    "api.delete.written": "api",
    "api.delete.committed": "api",
    "scheduler.claimed": "scheduler",
    "scheduler.written": "scheduler",
    "scheduler.committed": "scheduler",
    "relay.taken": "relay",
    "relay.published": "relay",
    "relay.committed": "relay",
    "agent.provision.found": "agent",
    "agent.provision.created": "agent",
    "agent.provision.started": "agent",
    "agent.provision.addressed": "agent",
    "agent.provision.reported": "agent",
    "agent.delete.found": "agent",
    "agent.delete.removed": "agent",
    "agent.delete.reported": "agent",
    "recorder.reports.written": "recorder",
    "recorder.reports.committed": "recorder",
}

#: Points that only a message nobody can process comes by; `test_dead_letters.py` dies there.
POISON_POINTS = ("aside.published", "aside.acknowledged", "dead_letters.written", "dead_letters.committed")

#: A point that only a container with bootstrappers comes by.
BOOTSTRAP_POINT = "agent.bootstrap.step"

#: Points that only a deployment comes by.
DEPLOYMENT_POINTS = ("controller.deployment.written", "controller.deployment.committed")

ROLES: dict[str, Callable[[Process], Awaitable[None]]] = {
    "api": api.serve.run,
    "relay": workers.relay.run,
    "scheduler": workers.scheduler.run,
    "recorder": workers.recorder.run,
    "controller": workers.controller.run,
    "agent": workers.agent.run,
}
#: What takes a minute in production takes a second here.
BRISK: dict[str, object] = {
    "inventory_seconds": 1,
    "grace_seconds": 2,
    "sweep_seconds": 1,
    "heartbeat_seconds": 1,
    "stop_seconds": 2,
}


def test_every_point_in_the_code_is_died_at() -> None:
    """Whoever adds a point adds it here."""
    sources = [path for part in ("pathfinder", "workers", "api") for path in (ROOT / part).rglob("*.py")]

    assert {name for path in sources for name in re.findall(r'\bpoint\("([^"]+)"\)', path.read_text())} == {
        *POINTS,
        *POISON_POINTS,
        BOOTSTRAP_POINT,
        *DEPLOYMENT_POINTS,
    }


class Victim:
    """One role in a process of its own that dies at a point; then the same role in this process goes on."""

    def __init__(self, role: str, environment: dict[str, str], log: Path) -> None:
        program = (sys.executable, "-m", "pathfinder.cli.operator", "run", role)
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(program, env=environment, stdout=output, stderr=output)

    async def dies(self) -> None:
        """Wait for it."""
        assert await asyncio.to_thread(self._process.wait, 60) == -signal.SIGKILL, self._log.read_text()

    def end(self) -> None:
        """Leave nothing behind."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)


class Place:
    """A whole Pathfinder with one simulated node: every role in this process but the victim's."""

    def __init__(self, victim: str, point: str, make: MakeProcess, broker_url: str, directory: Path) -> None:
        self.victim, self._make, self._directory = victim, make, directory
        self.broker_url = broker_url
        self.node = f"n{uuid4().hex[:8]}"
        self.ports = {"here": free_port(24920), "there": free_port(24960)}
        self.secrets: dict[str, str] = {}
        self._point = point
        self._running: list[tuple[Process, asyncio.Task[None]]] = []

    def settings(self, where: str) -> dict[str, object]:
        """Of this process (`here`) or of the victim's (`there`)."""
        return BRISK | {
            "broker_url": self.broker_url,
            "api_listen": f"127.0.0.1:{self.ports[where]}",
            "api_url": f"http://127.0.0.1:{self.ports['here']}",
            "node_name": self.node,
            "join_token": self.secrets["join"],
            "state_dir": str(self._directory / "machine"),
            "runtime": "simulated",
        }

    def start(self, role: str) -> None:
        """Run a role here."""
        process = self._make(**self.settings("here"))
        self._running.append((process, asyncio.create_task(ROLES[role](process))))

    def kill_at_point(self, database_url: str) -> Victim:
        """Start the victim."""
        given = self.settings("there") | {"database_url": database_url}
        environment = os.environ | {f"PATHFINDER_{key.upper()}": str(value) for key, value in given.items()}
        environment["PATHFINDER_FAILPOINT"] = f"{self._point}:{self._directory / 'marker'}"
        return Victim(self.victim, environment, self._directory / "victim.log")

    async def stop(self) -> None:
        """End what runs here."""
        for process, _ in self._running:
            process.stopping.set()
        await asyncio.gather(*(task for _, task in self._running))


@asynccontextmanager
async def place(
    role: str, point: str, process: Process, make: MakeProcess, broker_url: str, directory: Path
) -> AsyncIterator[tuple[Place, httpx2.AsyncClient]]:
    """Everything up, with the victim about to die; whoever waits for its death and its return is in the background."""
    made = Place(role, point, make, broker_url, directory)
    async with process.database.begin() as tx:
        made.secrets = {kind: await tokens.create(tx, kind, kind) for kind in ("operator", "join")}
    victim = made.kill_at_point(process.settings.database_url)

    async def come_back() -> None:
        await victim.dies()
        if role != "api":
            made.start(role)

    # A second API is there from the beginning: the agent needs one to join, and clients have one to go on with.
    for other in ROLES.keys() - ({role} - {"api"}):
        made.start(other)
    returning = asyncio.create_task(come_back())
    headers = {"Authorization": f"Bearer {made.secrets['operator']}"}
    try:
        async with httpx2.AsyncClient(headers=headers, timeout=10, trust_env=False) as http:
            for where in ("here", "there") if role == "api" else ("here",):
                await eventually(partial(answers, http, made.ports[where]), 60)
            yield made, http
        await asyncio.wait_for(returning, 60)
    finally:
        returning.cancel()
        victim.end()
        await made.stop()


async def answers(http: httpx2.AsyncClient, port: int) -> bool:
    """Whether an API is there."""
    try:
        return (await http.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
    except httpx2.TransportError:
        return False


async def ask(
    place: Place, http: httpx2.AsyncClient, method: str, path: str, **request: Any
) -> tuple[int, list[Answered], int]:
    """Ask until there is an answer, of the victim's API first: the status, its containers, and the tries in vain."""
    ports = [place.ports["there"], place.ports["here"]] if place.victim == "api" else [place.ports["here"]]
    vain, deadline = 0, time.monotonic() + 60
    while time.monotonic() < deadline:
        for port in ports:
            try:
                answer = await http.request(method, f"http://127.0.0.1:{port}/api/v3{path}", **request)
            except httpx2.ConnectError:
                continue
            except httpx2.TransportError:
                vain += 1
                continue
            document = answer.json()
            found = document.get("items", [document]) if answer.is_success else []
            return answer.status_code, [Answered(one["id"], one["hostname"], one["generation"]) for one in found], vain
        await asyncio.sleep(0.05)
    raise TimeoutError(f"{method} {path} got no answer")


@pytest.mark.parametrize("point", POINTS)
async def test_a_process_that_dies_at_a_point_costs_nothing(
    point: str,
    process: Process,
    cluster: Cluster,
    make_process: MakeProcess,
    broker_url: str,
    channel: AbstractChannel,
    tmp_path: Path,
) -> None:
    """Two containers are asked for, one is deleted: after the death one runs, once, and nothing is left over."""
    async with place(POINTS[point], point, process, make_process, broker_url, tmp_path) as (made, http):
        batch = {"containers": [{"hostname": "stays"}, {"hostname": "goes"}]}
        status, told, vain = await ask(
            made, http, "POST", "/containers/batch", json=batch, headers={"Idempotency-Key": "once"}
        )
        asked = [Request(1, "create", time.time(), ("stays", "goes"), status, (tuple(told),), vain)]
        await until_statuses(process, {"stays": "PROVISIONED", "goes": "PROVISIONED"})
        status, told, vain = await ask(made, http, "DELETE", "/containers/goes")
        goes = next(one.id for one in asked[0].answers[0] if one.hostname == "goes")
        asked.append(Request(2, "delete", time.time(), ("goes",), status, (tuple(told),), vain, target=goes))

        async def evidence() -> Evidence:
            return replace(
                await gather.tables(process.settings.database_url),
                queues=await gather.queues(broker_url, [made.node]),
                instances=read_instances(made.node, tmp_path / "machine", "simulated-instances.jsonl"),
                requests=asked,
            )

        async def sound() -> bool:
            return not check(await evidence())

        try:
            await eventually(sound, 60)
        except TimeoutError:
            pytest.fail(f"after a death at {point}: {check(await evidence())}")
    assert (tmp_path / "marker").exists()
    await channel.queue_delete(f"pathfinder.node.{made.node}")


async def test_an_agent_that_dies_while_it_bootstraps_goes_on_with_it(
    process: Process,
    cluster: Cluster,
    make_process: MakeProcess,
    broker_url: str,
    channel: AbstractChannel,
    tmp_path: Path,
) -> None:
    """Its next inventory knows of no run, so it is told again; nothing is called done before it is."""
    async with place("agent", BOOTSTRAP_POINT, process, make_process, broker_url, tmp_path) as (made, http):
        scripts = [{"type": "script", "name": name, "script": "true"} for name in ("one", "two")]
        await ask(made, http, "POST", "/containers", json={"hostname": "web", "bootstrappers": scripts})
        await until_statuses(process, {"web": "BOOTSTRAPPED"})
        async with process.database.begin() as tx:
            steps = await listing.bootstraps(tx, "default", "web")

    assert [(one.run, one.name, one.status) for one in steps] == [(1, "one", "DONE"), (1, "two", "DONE")]
    assert (tmp_path / "marker").exists()
    await channel.queue_delete(f"pathfinder.node.{made.node}")


@pytest.mark.parametrize("point", DEPLOYMENT_POINTS)
async def test_a_controller_that_dies_while_it_rolls_out_is_followed_by_one_that_goes_on(
    point: str,
    process: Process,
    cluster: Cluster,
    make_process: MakeProcess,
    broker_url: str,
    channel: AbstractChannel,
    tmp_path: Path,
) -> None:
    """It dies with the first rebuild of the second revision: in the end there are two replicas, of that and alone."""
    wanted = {"name": "web", "replicas": 2, "strategy": {"min_healthy_seconds": 0.2}}
    for memory in ("64MiB", "65MiB"):
        spec = DeploymentSpec.model_validate({**wanted, "template": {"memory": memory}})
        async with process.database.begin() as tx:
            applied = await deployments.apply(tx, cluster, spec, Asker("test", "trace"))
        if memory == "64MiB":
            async with process.database.begin() as tx:
                await rollouts.look(tx, applied.deployment.id, "trace")

    async def rolled_out() -> bool:
        async with process.database.begin() as tx:
            rows = await tx.execute(text("SELECT hostname, status, revision FROM containers WHERE status <> 'DELETED'"))
            found = sorted((row.hostname, row.status, row.revision) for row in rows)
            stable = (await tx.execute(text("SELECT stable FROM deployments"))).scalar_one()
        return stable == 2 and found == [(f"web-0{one}", "PROVISIONED", 2) for one in (1, 2)]

    async with place("controller", point, process, make_process, broker_url, tmp_path) as (made, _):
        await eventually(rolled_out, 60)
        instances = read_instances(made.node, tmp_path / "machine", "simulated-instances.jsonl")
    assert sorted(one.hostname for one in instances) == ["web-01", "web-02"]
    assert (tmp_path / "marker").exists()
    await channel.queue_delete(f"pathfinder.node.{made.node}")


async def until_statuses(process: Process, wanted: dict[str, str]) -> None:
    """Wait for these statuses."""

    async def there() -> bool:
        async with process.database.begin() as tx:
            rows = await tx.execute(text("SELECT hostname, status FROM containers"))
            return {row.hostname: row.status for row in rows} == wanted

    await eventually(there, 60)
