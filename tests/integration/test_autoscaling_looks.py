"""The leader's looks at deployments that scale themselves, on a real store: what is read, written, and left alone."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text
from workbench import Fleet

import workers.autoscaling
from pathfinder.bootstrap import Process
from pathfinder.controllers.forecasting import SLOT_SECONDS
from pathfinder.controllers.usage import Usages
from pathfinder.store import autoscaling, clusters, leadership, pruning
from workers.autoscaling import Autoscaler

CPU = {"type": "cpu", "target_percent": 50}
AT_ONCE = {"stabilisation_seconds": 0, "rates": []}
RULES = {"min": 1, "max": 8, "metrics": [CPU], "up": AT_ONCE, "down": AT_ONCE}


def web(**autoscaling_: Any) -> dict[str, Any]:
    template = {"memory": "64MiB", "cpu": 1}
    return {"name": "web", "replicas": 2, "template": template, "autoscaling": RULES | autoscaling_}


class Looking:
    """An autoscaler that leads, and what its heartbeats would tell it."""

    def __init__(self, fleet: Fleet, process: Process, scaler: Autoscaler, usages: Usages, node: UUID) -> None:
        self.fleet, self.process, self.scaler, self.usages, self.node = fleet, process, scaler, usages, node
        self.now, self._cpu = 1000.0, 0.0

    async def replicas(self, count: int) -> None:
        """Have so many replicas of `web` that run."""
        ((there,),) = await self.fleet.rows("SELECT count(*) FROM containers")
        names = [f"web-{number:02d}" for number in range(int(str(there)) + 1, count + 1)]
        if names:
            await self.fleet.ask(*names, cpu=1, memory="64MiB")
        await self.fleet.rows(
            """
            UPDATE containers SET deployment_id = (SELECT id FROM deployments), node_id = :node,
                                  status = CASE WHEN right(hostname, 2)::int <= :count THEN 'PROVISIONED'
                                                ELSE 'DELETED' END RETURNING id
            """,
            node=self.node,
            count=count,
        )

    async def busy(self, cores: float) -> None:
        """Every replica uses so many cores, for the 15 s until the next look; then look."""
        ids = [str(id_) for (id_,) in await self.fleet.rows("SELECT id FROM containers WHERE status <> 'DELETED'")]
        self.usages.watch(dict.fromkeys(ids, str(self.node)))
        for seconds in (0.0, 15.0):
            self._cpu += cores * seconds
            told = {"at": self.now + seconds, "usages": {id_: [self._cpu, 32 << 20, 0, 0] for id_ in ids}}
            self.usages.hear(str(self.node), told, self.now + seconds)
        self.now += 15
        await self.scaler.look()

    async def wanted(self) -> int:
        """How many replicas are wanted."""
        ((found,),) = await self.fleet.rows("SELECT replicas FROM deployments")
        return int(str(found))

    async def kept(self) -> list[tuple[object, ...]]:
        """The decisions that were kept: before, after, and what was in the way."""
        return await self.fleet.rows(
            "SELECT before, after, document ->> 'held', document ->> 'failed' FROM scalings ORDER BY id"
        )


@pytest.fixture
async def looking(fleet: Fleet, process: Process, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Looking]:
    async with leadership.session(process.database, "controller") as session:
        lead = await leadership.take(session, "controller")
        assert lead is not None
        usages = Usages()
        scaler = Autoscaler(process, lead, usages)
        found = Looking(fleet, process, scaler, usages, await fleet.node("node-1"))
        monkeypatch.setattr(workers.autoscaling, "steady_now", lambda: found.now)
        yield found
        await scaler._sources.close()


async def put(api: httpx2.AsyncClient, document: dict[str, Any]) -> None:
    answer = await api.put("/deployments/web", json=document)
    assert answer.is_success, answer.text


async def test_cpu_that_replicas_use_scales_two_to_five_and_back_to_two(
    api: httpx2.AsyncClient, looking: Looking
) -> None:
    """Each change is wanted by the deployment, recorded as an event, and kept with its numbers."""
    await put(api, web(min=2))
    await looking.replicas(2)

    await looking.busy(1.2)
    assert await looking.wanted() == 5
    await looking.replicas(5)
    await looking.busy(0.48)
    assert await looking.wanted() == 5
    await looking.busy(0.05)
    assert await looking.wanted() == 2

    assert await looking.kept() == [(2, 5, None, None), (5, 2, None, None)]
    ((first,), _) = await looking.fleet.rows("SELECT document -> 'metrics' -> 0 FROM scalings ORDER BY id")
    assert first == {"name": "cpu", "replicas": 5, "value": 120.0, "target": 50.0, "measured": 2}
    actors = await looking.fleet.rows(
        "SELECT actor, body ->> 'from', body ->> 'to' FROM events WHERE kind = 'deployment.scaled' ORDER BY seq"
    )
    assert actors == [("autoscaling", "2", "5"), ("autoscaling", "5", "2")]


async def test_replicas_of_which_nothing_is_known_change_nothing_and_that_is_told_once(
    api: httpx2.AsyncClient, looking: Looking
) -> None:
    """Agents that tell no usage, as those of before, are no reason to shrink; an hour later it is told again."""
    await put(api, web())
    await looking.replicas(2)

    for _ in range(3):
        await looking.scaler.look()

    assert await looking.wanted() == 2
    assert await looking.kept() == [(2, 2, "not fewer, because cpu cannot be told", None)]
    looking.now += workers.autoscaling.TELL_AGAIN_SECONDS
    await looking.scaler.look()
    assert len(await looking.kept()) == 2


async def test_a_load_that_swings_about_its_target_fills_no_table(api: httpx2.AsyncClient, looking: Looking) -> None:
    """What is in the way now and then again is kept once, however often it comes back."""
    await put(api, web(down={"stabilisation_seconds": 300}))
    await looking.replicas(2)
    for cores in (0.5, 0.1, 0.5, 0.1, 0.5, 0.1):
        await looking.busy(cores)

    assert await looking.kept() == [(2, 2, "down waits for 300 s of it", None)]


async def test_what_a_quota_forbids_is_not_done_and_the_reason_is_kept(
    api: httpx2.AsyncClient, looking: Looking
) -> None:
    """The deployment stays whole as it is; once there is room, it grows."""
    await put(api, web())
    await looking.replicas(2)
    await looking.fleet.rows("""UPDATE clusters SET quota = '{"containers": 3}' RETURNING id""")

    await looking.busy(2.0)

    assert await looking.wanted() == 2
    ((before, after, held, failed),) = await looking.kept()
    assert (before, after, held) == (2, 2, None)
    assert "quota" in str(failed)
    await looking.fleet.rows("UPDATE clusters SET quota = NULL RETURNING id")
    await looking.busy(2.0)
    assert await looking.wanted() == 8


async def test_a_deployment_that_was_changed_meanwhile_is_looked_at_anew(
    api: httpx2.AsyncClient, looking: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a user wrote between the look and the change is not overruled by what was seen before."""
    await put(api, web())
    await looking.replicas(2)
    read = workers.autoscaling.autoscaling.replicas

    async def late(*given: Any) -> Any:
        found = await read(*given)
        await put(api, web(max=3))
        return found

    monkeypatch.setattr(workers.autoscaling.autoscaling, "replicas", late)
    await looking.busy(2.0)
    assert await looking.wanted() == 2
    monkeypatch.undo()
    monkeypatch.setattr(workers.autoscaling, "steady_now", lambda: looking.now)

    await looking.busy(2.0)

    assert await looking.wanted() == 3


async def test_a_new_leader_keeps_to_what_was_changed_before_it_led(api: httpx2.AsyncClient, looking: Looking) -> None:
    """Cooldowns hold across leaders, and a window begins anew with what is wanted then."""
    await put(api, web(down={**AT_ONCE, "cooldown_seconds": 3000}))
    await looking.replicas(2)
    await looking.busy(2.0)
    await looking.replicas(8)
    looking.scaler._memories.clear()

    await looking.busy(0.01)

    assert await looking.wanted() == 8
    assert (await looking.kept())[-1][2] == "down cools down for 3000 s after a change"


async def test_what_is_measured_is_recorded_by_its_peaks_and_pruned(api: httpx2.AsyncClient, looking: Looking) -> None:
    """Of five minutes the greatest is kept: of each metric all that was to be done, and of the busiest replica."""
    await put(api, web())
    await looking.replicas(2)
    for cores in (0.5, 0.6, 0.5):
        looking.scaler._all_due = 0.0
        await looking.busy(cores)
        looking.now += 15  # so that nothing is measured twice at once

    rows = await looking.fleet.rows("SELECT metric, max(value) FROM measurements GROUP BY metric ORDER BY metric")
    slots = await looking.fleet.rows(
        "SELECT DISTINCT extract(epoch FROM at)::bigint % :slot FROM measurements", slot=SLOT_SECONDS
    )

    assert [(name, round(float(str(value)), 3)) for name, value in rows] == [
        ("cpu", 120.0),
        ("replica:cpu_millicores", 600.0),
        ("replica:memory_bytes", float(32 << 20)),
    ]
    assert slots == [(0,)]
    await looking.fleet.rows("UPDATE measurements SET at = at - interval '40 days' RETURNING at")
    await looking.fleet.rows("UPDATE scalings SET at = at - interval '40 days' RETURNING at")
    async with looking.process.database.begin() as tx:
        for step in ("measurements", "scalings"):
            await pruning.steps(looking.process.settings)[step](tx)
    assert await looking.fleet.rows("SELECT 1 FROM measurements UNION ALL SELECT 2 FROM scalings") == []


async def test_a_forecast_from_what_was_recorded_scales_ahead_of_the_load(
    api: httpx2.AsyncClient, looking: Looking
) -> None:
    """In ten minutes it will be as busy as it was at this time of each of the last days."""
    await put(api, web(predictive={"ahead_seconds": 900}))
    await looking.replicas(2)
    ((id_,),) = await looking.fleet.rows("SELECT id FROM deployments")
    now = time.time()
    slots = [now - ago * SLOT_SECONDS for ago in range(1, 4 * 288)]
    # Busy for six hours from ten minutes after this time of day on.
    points = [(UUID(str(id_)), "cpu", at, 300.0 if 600 <= (at - now) % 86_400 < 22_200 else 50.0) for at in slots]
    async with looking.process.database.begin() as tx:
        await autoscaling.measure(tx, points)

    await looking.busy(0.25)

    assert await looking.wanted() == 6
    ((reason,),) = await looking.fleet.rows("SELECT document ->> 'reason' FROM scalings")
    assert str(reason).startswith("forecast of cpu is 300")


async def test_sources_that_are_down_or_tell_rubbish_are_named_and_shrink_nothing(
    api: httpx2.AsyncClient, looking: Looking
) -> None:
    """One that answers scales; what the other said is kept, without what it wrote."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
        body = b"<html>secret</html>" if asked == b"/rubbish" else b'{"queues": [{"waiting": 55}]}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        queue = {"type": "http", "name": "queue", "url": f"{url}/stats", "pointer": "/queues/0/waiting"}
        rubbish = {"type": "http", "name": "rubbish", "url": f"{url}/rubbish", "target_per_replica": 1}
        await put(api, web(metrics=[queue | {"target_per_replica": 10}, rubbish]))
        await looking.replicas(2)
        await looking.scaler.look()
        assert await looking.wanted() == 6
        await looking.replicas(6)
        await put(api, web(metrics=[queue | {"target_per_replica": 50}, rubbish]))
        await looking.scaler.look()

    assert await looking.wanted() == 6
    assert (await looking.kept())[-1][2] == "not fewer, because rubbish cannot be told"
    ((metrics,),) = await looking.fleet.rows("SELECT document -> 'metrics' FROM scalings ORDER BY id LIMIT 1")
    assert metrics == [
        {"name": "queue", "replicas": 6, "value": 55.0, "target": 10.0},
        {"name": "rubbish", "reason": "answered no JSON"},
    ]


async def test_a_deployment_whose_rules_cannot_be_read_holds_up_no_other(
    api: httpx2.AsyncClient, looking: Looking
) -> None:
    """It is left as it is; the next one is scaled."""
    await put(api, web())
    await looking.replicas(2)
    async with looking.process.database.begin() as tx:
        await tx.execute(
            text("""
                INSERT INTO deployments (id, cluster_id, name, document)
                SELECT '00000000-0000-0000-0000-000000000001', id, 'odd', '{"autoscaling": {"max": "many"}}'
                FROM clusters
            """)
        )

    await looking.busy(2.0)

    assert await looking.fleet.rows("SELECT name, replicas FROM deployments ORDER BY name") == [("odd", 0), ("web", 8)]


async def test_what_was_decided_and_how_large_replicas_should_be_can_be_asked_for(
    api: httpx2.AsyncClient, looking: Looking
) -> None:
    """The rules, what was measured last, every change with its numbers; advice only from a day on."""
    await put(api, web())
    await looking.replicas(2)
    await looking.busy(1.2)
    looking.scaler._all_due = 0.0
    looking.now += 15
    await looking.busy(1.2)

    state = (await api.get("/deployments/web/autoscaling")).json()
    advice = (await api.get("/deployments/web/recommendation")).json()
    ((id_,),) = await looking.fleet.rows("SELECT id FROM deployments")
    now = time.time()
    async with looking.process.database.begin() as tx:
        slots = [now - ago * SLOT_SECONDS for ago in range(1, 400)]
        await autoscaling.measure(tx, [(UUID(str(id_)), autoscaling.REPLICA_CPU, at, 400.0) for at in slots])

    assert (state["replicas"], state["ready"], state["rules"]["max"]) == (5, 2, 8)
    assert [one["metric"] for one in state["measured"]] == ["cpu"]
    assert (state["decisions"][-1]["before"], state["decisions"][-1]["after"]) == (2, 5)
    assert state["decisions"][-1]["metrics"][0]["value"] == 120.0
    assert (advice["cpu"]["recommended"], advice["memory"]["recommended"]) == (None, None)
    advice = (await api.get("/deployments/web/recommendation")).json()
    assert (advice["cpu"]["asked"], advice["cpu"]["recommended"]) == (1000, 500)
    assert (await api.get("/deployments/nobody/autoscaling")).status_code == 404


async def test_a_secret_of_the_cluster_is_sent_to_the_source_that_names_it(
    api: httpx2.AsyncClient, looking: Looking, tmp_path: Path
) -> None:
    """It has to be there when the deployment is applied; once it is gone the metric cannot be told, and why is kept."""
    looking.process.settings.secret_keys = tmp_path / "keys"
    (tmp_path / "keys").write_bytes(Fernet.generate_key())
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n30")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        queue = {"type": "http", "url": url, "target_per_replica": 10, "secret": "queue-token"}
        refused = await api.put("/deployments/web", json=web(metrics=[queue]))
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == "autoscaling.metrics[0].secret"
        assert "there is no secret 'queue-token'" in refused.text
        assert await looking.fleet.rows("SELECT 1 FROM deployments") == []

        async with looking.process.database.begin() as tx:
            here = await clusters.find(tx, "default")
            await looking.process.vault.put(tx, here, "queue-token", "s3cret", "test", "")
        await put(api, web(metrics=[queue]))
        await looking.replicas(2)
        await looking.scaler.look()
        await looking.fleet.rows("DELETE FROM secrets RETURNING name")
        await looking.scaler.look()

    assert await looking.wanted() == 3
    assert [b"Bearer s3cret" in one for one in asked] == [True]
    kept = await looking.fleet.rows("SELECT document -> 'metrics' -> 0 ->> 'reason' FROM scalings ORDER BY id")
    assert str(kept[-1][0]).startswith("cannot be asked without the secret 'queue-token'")
    assert "s3cret" not in (await api.get("/deployments/web/autoscaling")).text
