"""Plans through the API on a real store: true, and without a trace."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import text
from workbench import Fleet

import pathfinder.store.requests
from pathfinder.bootstrap import Process
from pathfinder.scheduling import policy
from workers.scheduler import place_pending

TABLES = ("containers", "events", "outbox", "decisions", "departures")


async def sizes(fleet: Fleet) -> list[object]:
    """How many rows there are, and what is claimed."""
    counts = [await fleet.rows(f"SELECT count(*) FROM {table}") for table in TABLES]  # noqa: S608
    return [*counts, await fleet.rows("SELECT hostname, generation, containers FROM nodes ORDER BY hostname")]


def ids(seed: int) -> Iterator[UUID]:
    """Ids whose lower half is the seed: a scheduler takes it from the first container of a batch."""
    return (UUID(int=number << 64 | seed) for number in count(1))


@pytest.mark.parametrize("seed", [1, 77, 4_000_000_000])
async def test_a_scheduler_does_what_a_plan_says(
    fleet: Fleet, process: Process, api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Container by container, with the same seed, on a fleet that nobody else touches."""
    mixed = random.Random(seed)
    for number in range(6):
        await fleet.node(f"node-{number}", labels={"zone": "ab"[number % 2]}, cpu_millicores=mixed.choice([4000, 8000]))
    await fleet.ask("there", cpu=2, labels={"app": "web"})
    await place_pending(process, fleet.cluster_id)
    wanted = [
        {
            "hostname": f"c-{number}",
            "cpu": mixed.choice([1, 2, 3]),
            "memory": mixed.choice(["512MiB", "2GiB"]),
            "priority": mixed.choice([0, 0, 5]),
            "policy": mixed.choice([None, None, "binpack"]),
            **mixed.choice(
                [
                    {},
                    {"labels": {"app": "web"}, "affinity": [{"to": "app=web", "over": "node", "rule": "apart"}]},
                    {"labels": {"app": "db"}, "spread": [{"of": "app=db", "over": "zone"}]},
                    {"constraints": ["zone=a"]},
                ]
            ),
        }
        for number in range(30)
    ]
    before = await sizes(fleet)

    answer = await api.post("/plans/create", json={"containers": wanted, "seed": seed})

    assert answer.status_code == 200, answer.text
    plan = answer.json()
    assert await sizes(fleet) == before
    assert plan["placed"]
    assert plan["waiting"]
    numbers = ids(seed)
    monkeypatch.setattr(pathfinder.store.requests, "uuid7", lambda: next(numbers))
    assert (await api.post("/containers/batch", json={"containers": wanted})).status_code == 201
    await place_pending(process, fleet.cluster_id)
    rows = await fleet.rows(
        "SELECT c.hostname, n.hostname FROM containers AS c LEFT JOIN nodes AS n ON n.id = c.node_id "
        "WHERE c.hostname <> 'there'"
    )
    assert {one["hostname"]: one["node"] for one in plan["placed"] + plan["waiting"]} == dict(rows)
    full = dict(await fleet.rows("SELECT hostname, containers FROM nodes"))
    assert {one["hostname"]: one["containers_after"] for one in plan["nodes"]}.items() <= full.items()


async def test_losing_and_draining_nodes(fleet: Fleet, process: Process, api: httpx2.AsyncClient) -> None:
    """Everything goes where there is room; what is stateful stays; zones are lost whole."""
    for number in range(3):
        await fleet.node(f"node-{number}", labels={"zone": "ab"[number % 2]})
    await fleet.ask(*(f"web-{number}" for number in range(9)), cpu=2)
    await fleet.ask("db", type="stateful", node_labels={"zone": "b"})
    await place_pending(process, fleet.cluster_id)
    before = await sizes(fleet)

    lost = (await api.post("/plans/lose", json={"nodes": ["node-1"]})).json()
    zone = (await api.post("/plans/lose", json={"zone": "a"})).json()
    drained = (await api.post("/plans/drain", json={"nodes": ["node-1"]})).json()

    assert not lost["fits"]
    assert len(lost["placed"]) == 2
    assert len(lost["waiting"]) == 1
    assert [one["hostname"] for one in lost["staying"]] == ["db"]
    assert {one["node"] for one in lost["placed"]} == {"node-0", "node-2"}
    assert len(zone["placed"]) == 1
    assert len(zone["waiting"]) == 5
    assert [one["node"] for one in drained["placed"]] != ["node-1"]
    assert await sizes(fleet) == before


async def test_what_cannot_be_planned_is_refused_in_words(fleet: Fleet, api: httpx2.AsyncClient) -> None:
    """The same words as for the deed; zones that are not there are named."""
    await fleet.node("node-0", labels={"zone": "a"})
    await fleet.ask("web")

    taken = await api.post("/plans/create", json={"containers": [{"hostname": "web"}]})
    large = await api.post("/plans/create", json={"containers": [{"hostname": "new", "cpu": 900}]})
    zone = await api.post("/plans/lose", json={"zone": "z"})
    neither = await api.post("/plans/lose", json={})

    assert (taken.status_code, large.status_code, zone.status_code, neither.status_code) == (409, 422, 404, 422)
    assert "there are: a" in zone.json()["detail"]
    assert neither.json()["errors"] == [{"field": "zone", "message": "name either nodes, or a zone"}]


async def test_whoever_would_give_way_is_named(
    fleet: Fleet, process: Process, api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a policy has preemption."""
    monkeypatch.setitem(policy.POLICIES, "spread", replace(policy.POLICIES["spread"], preemption=True))  # type: ignore[arg-type]
    await fleet.node("node-0")
    await fleet.ask("low", cpu=8)
    await place_pending(process, fleet.cluster_id)
    async with process.database.begin() as tx:
        await tx.execute(text("UPDATE containers SET status = 'PROVISIONED'"))

    plan = (
        await api.post("/plans/create", json={"containers": [{"hostname": "high", "cpu": 4, "priority": 9}]})
    ).json()

    assert plan["preempted"] == [{"hostname": "low", "node": "node-0", "by": "high"}]


async def test_every_answer_says_which_of_its_nodes_are_simulated(
    fleet: Fleet, process: Process, api: httpx2.AsyncClient
) -> None:
    """Whatever names a node can be shown with the label; a real node has none."""
    await fleet.node("node-01")
    await fleet.node("node-02")
    async with process.database.begin() as tx:
        await tx.execute(text("UPDATE nodes SET runtime = 'lxd' WHERE hostname = 'node-02'"))
    await fleet.ask("web-01", "web-02", cpu=1)
    await place_pending(process, fleet.cluster_id)

    plan = await api.post("/plans/lose", json={"nodes": ["node-01"]})
    happened = (await api.get("/events", params={"kind": "container.scheduled"})).json()["items"]
    explained = [(await api.get(f"/containers/{name}/explain")).json() for name in ("web-01", "web-02")]

    assert plan.json()["simulated"] == ["node-01"]
    assert {one["node"]: one["simulated"] for one in happened} == {"node-01": True, "node-02": False}
    assert [one["simulated"] for one in explained] == [["node-01"], ["node-01"]]
    assert (await api.get("/resilience")).json()["simulated"] == ["node-01"]


async def test_whoever_would_give_way_to_the_containers_of_a_lost_node_is_named(
    fleet: Fleet, process: Process, api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And for whom; not where the lost ones of a group with a budget are as many as may be away."""
    monkeypatch.setitem(policy.POLICIES, "spread", replace(policy.POLICIES["spread"], preemption=True))  # type: ignore[arg-type]
    web: dict[str, object] = {"cpu": 8, "labels": {"app": "web"}}
    await fleet.node("node-0", cpu_millicores=8000)
    await fleet.ask("high", priority=5, **web)
    await place_pending(process, fleet.cluster_id)
    await fleet.node("node-1", cpu_millicores=8000)
    await fleet.ask("low", **web)
    await place_pending(process, fleet.cluster_id)
    await fleet.rows("UPDATE containers SET status = 'PROVISIONED' RETURNING id")

    told = (await api.post("/plans/lose", json={"nodes": ["node-0"]})).json()
    await fleet.rows("""
        UPDATE containers SET spec = '{"budget": {"of": "app=web", "max_unavailable": 1}}' RETURNING id
    """)
    bound = (await api.post("/plans/lose", json={"nodes": ["node-0"]})).json()

    assert told["preempted"] == [{"hostname": "low", "node": "node-1", "by": "high"}]
    assert not told["fits"]
    assert bound["preempted"] == []
