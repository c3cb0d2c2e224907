"""Replays through the API: what is in the event log and the rows is what is replayed."""

from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from aio_pika.abc import AbstractChannel
from sqlalchemy import text
from workbench import Fleet, serving

import api.routes.replays as api_replays
from pathfinder.bootstrap import Process
from pathfinder.client import Client
from pathfinder.store import clusters, replays, tokens
from workers.scheduler import place_pending


async def yesterday(process: Process) -> None:
    """Make everything that was recorded so far a day older."""
    async with process.database.begin() as tx:
        for table, column in (("events", "at"), ("containers", "created_at"), ("nodes", "created_at")):
            await tx.execute(text(f"UPDATE {table} SET {column} = {column} - interval '1 day'"))  # noqa: S608


async def delete(fleet: Fleet, api: httpx2.AsyncClient, name: str) -> None:
    """A container that never ran is gone at once."""
    assert (await api.delete(f"/containers/{name}")).status_code == 202


async def test_what_was_recorded_is_what_is_replayed(
    fleet: Fleet, process: Process, api: httpx2.AsyncClient, cluster: clusters.Cluster
) -> None:
    """Who was there, who came and went, with their asks; nodes as they were, and what changed of them."""
    await fleet.node("old", labels={"zone": "a"})
    await fleet.node("shut")
    await fleet.ask("there", cpu=2, labels={"app": "web"})
    await fleet.ask("left", cpu=1)
    await yesterday(process)
    await delete(fleet, api, "left")
    await fleet.ask("came", cpu=4, memory="1GiB", labels={"app": "web"}, affinity=[{"to": "app=web", "rule": "apart"}])
    await fleet.ask("brief", constraints=["zone=a"])
    await delete(fleet, api, "brief")
    await fleet.node("new")
    await api.post("/nodes/shut/cordon")

    async with process.database.begin() as tx:
        since = (await tx.execute(text("SELECT now() - interval '1 hour'"))).scalar_one()
        found = await replays.recorded(tx, cluster.id, "default", since)

    asked = {one.ask.resources.cpu_millicores: one for one in found.workload.items}
    assert sorted(asked) == [0, 1000, 2000, 4000]
    assert (asked[2000].arrives, asked[2000].ends) == (-1.0, float("inf"))
    assert asked[1000].arrives < 0 < asked[1000].ends < found.workload.seconds
    assert 3590 < asked[4000].arrives < found.workload.seconds
    assert asked[4000].ask.labels == (("app", "web"),)
    assert asked[4000].ask.affinities[0].apart
    assert asked[0].arrives < asked[0].ends
    assert str(asked[0].ask.constraints) == "zone=a"
    assert (found.came, found.went, found.forgotten) == (2, 2, 0)
    states = {one.hostname: one for one in found.workload.nodes}
    assert [states[name].ready for name in ("old", "shut", "new")] == [True, True, False]
    assert states["shut"].schedulable
    assert [(one.node, one.ready, one.schedulable) for one in found.workload.changes] == [
        ("new", True, None),
        ("shut", None, False),
    ]
    assert states["old"].claimed.cpu_millicores == 0


async def test_a_long_log_is_not_read_from_its_beginning(
    fleet: Fleet, process: Process, cluster: clusters.Cluster
) -> None:
    """Whatever came since then is found, whatever gaps the numbers have."""
    await fleet.node("node-0")
    await fleet.ask(*(f"old-{number}" for number in range(40)))
    await yesterday(process)
    await fleet.rows("SELECT setval(pg_get_serial_sequence('events', 'seq'), 100000)")
    await fleet.ask(*(f"new-{number}" for number in range(7)))

    async with process.database.begin() as tx:
        now = (await tx.execute(text("SELECT now()"))).scalar_one()
        (hour, week) = [
            await replays.recorded(tx, cluster.id, "default", now - timedelta(hours=hours)) for hours in (1, 24 * 7)
        ]

    assert (hour.came, len(hour.workload.items)) == (7, 47)
    assert (week.came, len(week.workload.items)) == (47, 47)


async def test_policies_are_compared(fleet: Fleet, process: Process, api: httpx2.AsyncClient) -> None:
    """By the API, in a process of its own; and nothing is written."""
    for number in range(4):
        await fleet.node(f"node-{number}")
    await yesterday(process)
    await fleet.ask(*(f"web-{number}" for number in range(8)), cpu=2)
    await place_pending(process, fleet.cluster_id)
    before = await fleet.kinds()

    answer = await api.post("/replays", json={"since": "1h", "policies": ["spread", "binpack"], "trials": 3})

    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["nodes"], found["containers"], found["came"], found["went"]) == (4, 8, 8, 0)
    spread, binpack = found["policies"]
    assert [one["policy"] for one in (spread, binpack)] == ["spread", "binpack"]
    assert spread["needed"]["nodes"] == binpack["needed"]["nodes"] == 2
    assert spread["series"]["nodes_used"][-1] == 4
    assert binpack["series"]["nodes_used"][-1] == 2
    assert spread["never_placed"] == 0
    assert len(found["at"]) == len(spread["series"]["cpu"])
    assert await fleet.kinds() == before


async def test_what_cannot_be_replayed_is_said(fleet: Fleet, process: Process, api: httpx2.AsyncClient) -> None:
    """Nothing recorded, a policy that is not there, a moment yet to come, none at all."""
    await fleet.node("node-0")

    nothing = await api.post("/replays", json={"since": "1h"})
    await fleet.ask("web")
    unknown = await api.post("/replays", json={"policies": ["sprad"]})
    future = await api.post("/replays", json={"since": "2999-01-01T00:00:00Z"})
    odd = await api.post("/replays", json={"since": "soon"})

    assert [one.status_code for one in (nothing, unknown, future, odd)] == [422] * 4
    assert "Nothing to replay: no container was asked for in cluster 'default'" in nothing.json()["detail"]
    assert "spread" in unknown.json()["detail"]
    assert "in the future" in future.json()["detail"]


async def test_a_served_api_replays_beside_its_requests(
    fleet: Fleet, process: Process, fresh_url: str, broker_url: str, channel: AbstractChannel, tmp_path: Path
) -> None:
    """The process that replays is started from the one that serves, and does not become another server."""
    await fleet.node("node-0")
    await fleet.ask("web")
    async with process.database.begin() as tx:
        secret = await tokens.create(tx, "tester", "operator")

    with serving(fresh_url, broker_url, tmp_path / "log", "api") as (url, _):
        async with Client(url, secret) as client:
            found = await client.replays.create("1h", ["spread"], trials=1)

    assert [(one.policy, one.needed.nodes) for one in found.policies] == [("spread", 1)]


async def test_what_takes_too_long_is_ended(
    fleet: Fleet, api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that replays is gone then; the next replay gets another."""
    await fleet.node("node-0")
    await fleet.ask("web")
    with monkeypatch.context() as hurried:
        hurried.setattr(api_replays, "MOST_SECONDS", 0.001)

        refused = await api.post("/replays", json={"since": "1h"})

    assert refused.status_code == 422
    assert "took longer" in refused.json()["detail"]
    assert (await api.post("/replays", json={"policies": ["spread"], "trials": 1})).status_code == 200


async def test_of_too_much_a_sample_is_replayed_and_told_so(
    fleet: Fleet, api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As large a share of the nodes, of each kind, as of the containers, of which what went is known all the same."""
    monkeypatch.setattr(replays, "MOST_CONTAINERS", 60)
    for number in range(8):
        await fleet.node(f"node-{number}", labels={"zone": "ab"[number % 2]})
    await fleet.ask(*(f"old-{number}" for number in range(60)))
    await fleet.rows("UPDATE containers SET created_at = now() - interval '2 h' RETURNING id")
    await fleet.rows("UPDATE events SET at = now() - interval '2 h' RETURNING seq")
    await fleet.rows("UPDATE nodes SET created_at = now() - interval '2 h' RETURNING id")
    await fleet.ask(*(f"new-{number}" for number in range(60)))
    for number in range(60):
        await delete(fleet, api, f"new-{number}")

    answer = await api.post("/replays", json={"since": "1h", "policies": ["spread"], "trials": 1})

    found = answer.json()
    assert (answer.status_code, found["share"], found["nodes"], found["forgotten"]) == (200, 0.5, 4, 0)
    assert 30 <= found["containers"] <= 90
    assert 0 < found["went"] == found["came"] < 60
    async with fleet.process.database.begin() as tx:
        since = (await tx.execute(text("SELECT now() - interval '1 hour'"))).scalar_one()
        recorded = await replays.recorded(tx, fleet.cluster_id, "default", since)
    assert sorted(one.labels["zone"] for one in recorded.workload.nodes) == ["a", "a", "b", "b"]


async def test_too_much_for_a_sample_is_refused(
    fleet: Fleet, api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to do about it: a part of a node tells nothing."""
    monkeypatch.setattr(replays, "MOST_CONTAINERS", 2)
    await fleet.node("node-0")
    await fleet.ask("a", "b", "c")

    refused = await api.post("/replays", json={"since": "1h"})

    assert refused.status_code == 422
    assert "Replay a shorter span" in refused.json()["detail"]
