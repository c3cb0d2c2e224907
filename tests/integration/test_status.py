"""The status of the whole: what processes say of themselves, and what the API makes of it."""

import signal
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from sqlalchemy import text
from workbench import Fleet, MakeProcess, eventually, serving

from pathfinder import health
from pathfinder.bootstrap import ON_NODES, Process
from pathfinder.broker import topology
from pathfinder.domain.status import Overall, SystemStatus
from pathfinder.store import tokens
from pathfinder.store.clusters import Cluster
from workers.presence import Presence

ROLES = ("api", "relay", "scheduler", "recorder", "controller")
AWAY = "amqp://nobody:nothing@127.0.0.1:9/"


async def operator(process: Process) -> dict[str, str]:
    """Headers of an operator."""
    async with process.database.begin() as tx:
        return {"Authorization": f"Bearer {await tokens.create(tx, 'tester', 'operator')}"}


async def told(url: str, headers: dict[str, str]) -> SystemStatus:
    """What the API says."""
    async with httpx2.AsyncClient(trust_env=False, headers=headers, base_url=url, timeout=10) as client:
        answer = await client.get("/api/v3/status")
    assert answer.status_code == 200, answer.text
    return SystemStatus.model_validate_json(answer.content)


async def take(_: AbstractIncomingMessage) -> None:
    """As an agent that listens."""


async def rows(process: Process) -> list[tuple[str, bool]]:
    """The roles that say they live, and whether they lead."""
    async with process.database.begin() as tx:
        return [tuple(row) for row in await tx.execute(text("SELECT role, leader FROM roles ORDER BY role"))]


async def test_a_whole_control_plane_is_ok_and_leaves_nothing_behind(
    process: Process, fleet: Fleet, broker_url: str, channel: AbstractChannel, tmp_path: Path
) -> None:
    """Every role is there and ready, one controller leads; after an orderly end nobody is missed.

    A node that beats but does not listen for commands is what is wrong until it does.
    """
    await fleet.node("node-01")
    queue = await topology.declare(channel, topology.node_queue("node-01"))
    headers = await operator(process)
    with serving(process.settings.database_url, broker_url, tmp_path / "log", *ROLES) as (url, running):

        async def well() -> bool:
            return (await told(url, headers)).health == Overall.OK

        async def deaf() -> bool:
            return "node.deaf" in {one.kind for one in (await told(url, headers)).findings}

        await eventually(deaf, 30)
        await queue.consume(take)
        await eventually(well, 30)
        status = await told(url, headers)
        assert [(one.role, one.state, one.leader) for one in status.roles] == [
            (role, "ready", role == "controller") for role in sorted(ROLES)
        ]
        assert all(one.parts == {"postgresql": "ok", "rabbitmq": "ok"} for one in status.roles)
        assert status.roles[0].listen == url.removeprefix("http://")
        assert {one.name for one in status.broker.queues} == {one.name for one in topology.SHARED}
        assert status.broker.nodes.worst[0].name == "pathfinder.node.node-01"
        assert (status.nodes, status.containers, status.replication) == ({"ready": 1}, {}, [])
        assert status.findings == []

        running.send_signal(signal.SIGTERM)
        assert running.wait(15) == 0

    assert await rows(process) == []
    await channel.queue_delete("pathfinder.node.node-01")


async def test_the_rest_is_shown_while_rabbitmq_is_away(process: Process, fleet: Fleet, tmp_path: Path) -> None:
    """And that it is away is what is wrong."""
    await fleet.node("node-01")
    await fleet.ask("web-01", "web-02")
    headers = await operator(process)
    with serving(process.settings.database_url, AWAY, tmp_path / "log", "api", "scheduler") as (url, running):

        async def seen() -> bool:
            return len((await told(url, headers)).roles) == 2

        await eventually(seen, 20)
        status = await told(url, headers)
        running.send_signal(signal.SIGTERM)
        assert running.wait(15) == 0

    assert status.health == Overall.DOWN
    assert not status.broker.reachable
    assert status.outbox.rows >= 1
    assert status.nodes == {"ready": 1}
    assert sum(status.containers.values()) == 2
    assert {"broker.down", "service.down", "service.unready"} <= {one.kind for one in status.findings}
    assert {one.subject for one in status.findings if one.kind == "service.down"} == {"relay", "recorder", "controller"}


async def test_a_process_that_is_killed_is_missed(process: Process, cluster: Cluster, api: httpx2.AsyncClient) -> None:
    """Its row stays, and is shown as down once it is silent; one that ended in good order is not."""
    process.roles = ("relay", "controller")
    presence = Presence(process)
    await presence.say()
    assert await rows(process) == [("controller", False), ("relay", False)]
    async with process.database.begin() as tx:
        await tx.execute(text("UPDATE roles SET seen_at = now() - interval '16 s' WHERE role = 'relay'"))

    status = SystemStatus.model_validate_json((await api.get("/status")).content)

    assert {one.role: one.state for one in status.roles}["relay"] == "down"
    assert any(one.subject == "relay" and "No relay runs" in one.summary for one in status.findings)
    await presence.leave()
    assert await rows(process) == []


async def test_a_process_says_when_it_comes_to_lead(process: Process, cluster: Cluster) -> None:
    """One row, changed in place."""
    process.roles = ("controller",)
    presence = Presence(process)
    await presence.say()
    process.leading.add("controller")
    await presence.say()

    assert await rows(process) == [("controller", True)]
    await presence.leave()


@pytest.mark.parametrize("role", sorted(ON_NODES))
async def test_what_runs_on_nodes_needs_no_database_to_say_that_it_lives(make_process: MakeProcess, role: str) -> None:
    """Heartbeats do: nothing is written, and nothing waits for PostgreSQL."""
    process = make_process(database_url="postgresql+asyncpg://nobody@127.0.0.1:9/nothing")
    process.roles = (role,)

    await Presence(process).run()
    await Presence(process).leave()
    assert "postgresql" not in await health.check(process)


async def test_open_problems_are_in_the_status(process: Process, cluster: Cluster, api: httpx2.AsyncClient) -> None:
    """Closed ones are not."""
    insert = text("""
        INSERT INTO problems (id, key, kind, severity, subject, summary, advice, closed_at)
        VALUES (:id, :key, 'capacity.low', 'warning', :key, 'little room', 'add a node',
                CASE WHEN :key = 'past' THEN now() END)
    """)
    async with process.database.begin() as tx:
        for key in ("present", "past"):
            await tx.execute(insert, {"id": uuid4(), "key": key})

    status = SystemStatus.model_validate_json((await api.get("/status")).content)

    found = [one for one in status.findings if one.kind == "capacity.low"]
    assert [(one.subject, one.summary, one.advice) for one in found] == [("present", "little room", "add a node")]
    assert found[0].since is not None


async def test_nodes_are_counted_by_what_they_can_do(process: Process, fleet: Fleet, api: httpx2.AsyncClient) -> None:
    """A node set aside is not ready, and one that is DOWN is nothing else."""
    for name in ("ready", "cordoned", "aside", "down"):
        await fleet.node(f"{name}-1")
    async with process.database.begin() as tx:
        await tx.execute(text("UPDATE nodes SET schedulable = false WHERE hostname IN ('cordoned-1', 'down-1')"))
        await tx.execute(text("UPDATE nodes SET aside_until = now() + interval '1 h' WHERE hostname = 'aside-1'"))
        await tx.execute(text("UPDATE nodes SET status = 'DOWN' WHERE hostname = 'down-1'"))

    status = SystemStatus.model_validate_json((await api.get("/status")).content)

    assert status.nodes == {"ready": 1, "cordoned": 1, "aside": 1, "down": 1}


async def test_without_postgresql_the_status_is_503_with_words(make_process: MakeProcess) -> None:
    """Nothing is known then; who asks cannot even be told from others."""
    from api.app import create_app
    from api.tail import Tail

    away = make_process(database_url="postgresql+asyncpg://nobody@127.0.0.1:9/nothing")
    transport = httpx2.ASGITransport(create_app(away, Tail(away)), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://pathfinder/api/v3") as client:
        answer = await client.get("/status", headers={"Authorization": "Bearer x"})

    assert answer.status_code == 503
    assert "PostgreSQL" in answer.json()["detail"]
