"""What operators set on nodes and clusters: each change wakes what waits, and nothing else moves."""

import asyncio

import httpx2
import pytest
from workbench import GIB, Fleet

from pathfinder.domain.errors import QuotaExceeded
from pathfinder.domain.messages import SUPPLY, Kind


async def node(api: httpx2.AsyncClient, **changes: object) -> httpx2.Response:
    """Change node-01."""
    return await api.patch("/nodes/node-01", json=changes)


async def test_a_node_shows_what_was_set_on_it(fleet: Fleet, api: httpx2.AsyncClient) -> None:
    """Labels of an operator go before the agent's; each part may be changed alone, and removed."""
    await fleet.node("node-01", labels={"zone": "a", "rack": "1"})

    await node(api, labels={"zone": "b", "ssd": ""}, taints=["dedicated=db:NoSchedule", "old"], pool="gpu")
    answer = await node(
        api, labels={"ssd": None}, untaint=["old"], max_containers=5, overcommit={"cpu": 2, "disk": 1.5}
    )
    last = (await node(api, taints=["dedicated=web:NoSchedule"], max_containers=None, overcommit={"disk": None})).json()

    assert answer.status_code == 200
    assert answer.json()["max_containers"] == 5
    assert last["labels"] == {"zone": "b", "rack": "1"}
    assert last["own_labels"] == {"zone": "b"}
    assert last["taints"] == ["dedicated=web:NoSchedule"]
    assert (last["pool"], last["max_containers"], last["overcommit"]) == ("gpu", None, {"cpu": 2.0})
    found = (await api.get("/nodes", params={"label": "zone=b"})).json()["items"]
    assert [one["hostname"] for one in found] == ["node-01"]
    assert (await api.get("/nodes", params={"label": "zone=a"})).json()["items"] == []


async def test_each_change_of_a_node_moves_its_generation_and_supply_once(
    fleet: Fleet, api: httpx2.AsyncClient
) -> None:
    """Whoever decided on what was decides again; whoever let something wait looks again. The same again is nothing."""
    await fleet.node("node-01")
    before = await fleet.rows("SELECT generation, supply FROM nodes")

    for _ in range(2):
        await node(api, labels={"a": "b"}, max_stateful=3)

    ((generation, supply),) = before
    assert await fleet.rows("SELECT generation - 1, supply - 1 FROM nodes") == [(generation, supply)]
    assert (await fleet.kinds()).count(Kind.NODE_UPDATED) == 1
    bodies = await fleet.rows("SELECT body FROM events WHERE kind = 'node.updated'")
    assert bodies == [({"own_labels": {"a": "b"}, "max_stateful": 3},)]
    assert Kind.NODE_UPDATED in SUPPLY


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"labels": {"node.name": "x"}}, "labels.node.name"),
        ({"labels": {"lxd.gpu": "x"}}, "labels.lxd.gpu"),
        ({"labels": {"a b": "x"}}, "labels.a b"),
        ({"labels": {"zone": None}}, "labels.zone"),
        ({"taints": ["a:Never"]}, "taints[0]"),
        ({"untaint": ["a=b"]}, "untaint[0]"),
        ({"untaint": ["a:Never"]}, "untaint[0]"),
        ({"pool": None}, "pool"),
        ({"pool": "*"}, "pool"),
        ({"max_containers": -1}, "max_containers"),
        ({"max_containers": "none"}, "max_containers"),
        ({"overcommit": {"cpu": 0}}, "overcommit.cpu"),
        ({"overcommit": {"cpu": -2}}, "overcommit.cpu"),
        ({"overcommit": {"gpu": 2}}, "overcommit.gpu"),
        ({"color": "red"}, "color"),
    ],
)
async def test_what_cannot_be_set_on_a_node_is_refused_with_its_field(
    fleet: Fleet, api: httpx2.AsyncClient, changes: dict[str, object], field: str
) -> None:
    """And changes nothing."""
    await fleet.node("node-01", labels={"zone": "a"})

    answer = await node(api, **changes)

    assert answer.status_code == 422
    assert any(one["field"].startswith(field) for one in answer.json()["errors"]), answer.text
    assert Kind.NODE_UPDATED not in await fleet.kinds()


async def test_a_ratio_that_is_no_number_is_refused(fleet: Fleet, api: httpx2.AsyncClient) -> None:
    """JSON has no NaN, but Python reads it."""
    await fleet.node("node-01")

    answer = await api.patch(
        "/nodes/node-01", content=b'{"overcommit": {"cpu": NaN}}', headers={"Content-Type": "application/json"}
    )

    assert answer.status_code in (400, 422)


async def test_changing_a_node_that_is_not_there_says_so(fleet: Fleet, api: httpx2.AsyncClient) -> None:
    """404, as everywhere."""
    assert (await node(api, pool="gpu")).status_code == 404


# Clusters


async def test_a_quota_is_shown_with_what_is_used_and_can_be_changed_in_parts(
    fleet: Fleet, api: httpx2.AsyncClient
) -> None:
    """And removed."""
    await fleet.ask("web", cpu=2, memory="1GiB")

    first = (await api.patch("/clusters/default", json={"quota": {"cpu": 10, "containers": 3}})).json()
    second = (await api.patch("/clusters/default", json={"quota": {"cpu": None, "memory": "8GiB"}})).json()
    third = (await api.patch("/clusters/default", json={"quota": {"memory": None, "containers": None}})).json()

    assert first["quota"] == {"cpu_millicores": 10_000, "containers": 3}
    assert (first["used"]["cpu_millicores"], first["used"]["containers"]) == (2000, 1)
    assert second["quota"] == {"memory_bytes": 8 * GIB, "containers": 3}
    assert (third["quota"], third["used"]) == (None, None)


@pytest.mark.parametrize(
    ("quota", "told"),
    [
        ({"cpu": 3}, "cpu: 2 of 3 used, 2 more asked for"),
        ({"memory": "1GiB"}, "memory: 1GiB of 1GiB used, 1GiB more asked for"),
        ({"disk": "12GiB"}, "disk: 10GiB of 12GiB used, 10GiB more asked for"),
        ({"containers": 1}, "containers: 1 of 1 used, 1 more asked for"),
    ],
)
async def test_what_would_go_over_a_quota_is_refused_with_what_is_used(
    fleet: Fleet, api: httpx2.AsyncClient, quota: dict[str, object], told: str
) -> None:
    """And what to do about it. What is deleted does not count."""
    size = {"cpu": 2, "memory": "1GiB", "disk": "10GiB"}
    await fleet.ask("web-1", **size)
    await api.patch("/clusters/default", json={"quota": quota})

    refused = await api.post("/containers", json={"hostname": "web-2", **size})
    await api.delete("/containers/web-1")
    accepted = await api.post("/containers", json={"hostname": "web-2", **size})

    assert refused.status_code == 409
    assert refused.json()["type"] == "/problems/quota-exceeded"
    assert told in refused.json()["detail"]
    assert "pfi update cluster default --quota-" in refused.json()["detail"]
    assert accepted.status_code == 201


async def test_a_quota_holds_however_many_ask_at_once(fleet: Fleet, api: httpx2.AsyncClient) -> None:
    """Each counts what the others were granted."""
    await api.patch("/clusters/default", json={"quota": {"containers": 7}})

    async def ask(number: int) -> bool:
        try:
            await fleet.ask(f"web-{number}", f"also-{number}")
        except QuotaExceeded:
            return False
        return True

    granted = await asyncio.gather(*(ask(number) for number in range(10)))

    assert sum(granted) == 3
    assert await fleet.rows("SELECT count(*) FROM containers") == [(6,)]


async def test_a_create_that_is_repeated_is_not_counted_twice(fleet: Fleet, api: httpx2.AsyncClient) -> None:
    """The quota is used up by the first; its repetition gets the same containers."""
    await api.patch("/clusters/default", json={"quota": {"containers": 1}})

    answers = [
        await api.post("/containers", json={"hostname": "web"}, headers={"Idempotency-Key": "once"}) for _ in range(2)
    ]

    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].json()["id"] == answers[1].json()["id"]


async def test_an_overcommitted_cluster_accepts_what_fits_into_what_it_promises(
    fleet: Fleet, api: httpx2.AsyncClient
) -> None:
    """A node's own ratio goes before the cluster's. Changing it makes every decision and every wait of now void."""
    await fleet.node("node-01", cpu_millicores=4000)
    before = await fleet.rows("SELECT generation, supply FROM nodes")
    assert (await api.post("/containers", json={"hostname": "a", "cpu": 6})).status_code == 422

    await api.patch("/clusters/default", json={"overcommit": {"cpu": 2}})
    ((generation, supply),) = before
    assert await fleet.rows("SELECT generation - 1, supply - 1 FROM nodes") == [(generation, supply)]
    assert (await api.post("/containers", json={"hostname": "a", "cpu": 6})).status_code == 201

    await node(api, overcommit={"cpu": 1})
    assert (await api.post("/containers", json={"hostname": "b", "cpu": 6})).status_code == 422
    shown = (await api.get("/clusters/default")).json()
    assert shown["overcommit"] == {"cpu": 2.0}
