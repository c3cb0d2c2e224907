"""Policies through the API: written, read, tried, used and deleted, on a real store."""

from typing import Any

import httpx2
import numpy as np
import pytest
from workbench import Fleet

from pathfinder.bootstrap import Process
from pathfinder.scheduling.filters import FILTERS
from pathfinder.scheduling.plugins import PluginScorer
from pathfinder.scheduling.policy import BUILT_IN, Rules
from pathfinder.scheduling.scorers import SCORERS
from workers.scheduler import place_pending


def packing(**changes: Any) -> dict[str, Any]:
    """A policy that packs, but for `changes`."""
    return {"name": "mine", "scorers": {"used-share": 1.0}} | changes


async def put(api: httpx2.AsyncClient, expected: int | None = None, **changes: Any) -> httpx2.Response:
    """Write the policy `mine`."""
    params = {} if expected is None else {"expected_version": expected}
    return await api.put("/policies/mine", json=packing(**changes), params=params)


def fields(answer: httpx2.Response) -> list[str]:
    """The fields that a 422 names."""
    assert answer.status_code == 422, answer.text
    return [one["field"] for one in answer.json()["errors"]]


async def test_a_policy_is_written_read_used_and_deleted(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """Each version says who wrote it; what is used stays; numbers go on after a deletion."""
    made = (await put(api, description="Few nodes.")).json()
    assert (made["change"], made["version"], made["actor"], made["built_in"]) == ("created", 1, "token:tester", False)
    assert (await put(api, description="Few nodes.")).json()["change"] == "unchanged"
    changed = (await put(api, wishes=3.0)).json()
    assert (changed["change"], changed["version"]) == ("changed", 2)

    listed = {one["name"]: one for one in (await api.get("/policies")).json()["items"]}
    assert list(listed) == ["spread", "binpack", "balanced", "least-loaded", "image-locality", "random", "mine"]
    assert (listed["spread"]["clusters"], listed["spread"]["built_in"]) == (["default"], True)
    assert (await api.get("/policies/mine")).json() == listed["mine"]
    assert (await api.get("/policies/mine", params={"version": 1})).json()["document"]["wishes"] == 2.0
    assert (await api.get("/policies/mine", params={"version": 3})).status_code == 404
    assert [one["version"] for one in (await api.get("/policies/spread/versions")).json()["items"]] == [0]

    await api.patch("/clusters/default", json={"policy": "mine"})
    await fleet.ask("web", policy="mine")
    used = (await api.get("/policies/mine")).json()
    assert (used["clusters"], used["containers"]) == (["default"], 1)
    refused = await api.delete("/policies/mine")
    assert refused.status_code == 409
    assert "cluster default, 1 container(s)" in refused.json()["detail"]
    await api.patch("/clusters/default", json={"policy": "spread"})
    await api.delete("/containers/web")

    assert (await api.delete("/policies/mine")).status_code == 204
    assert (await api.get("/policies/mine")).status_code == 404
    assert (await api.get("/policies/mine", params={"version": 1})).json()["description"] == "Few nodes."
    history = (await api.get("/policies/mine/versions")).json()["items"]
    assert [(one["version"], one["deleted"]) for one in history] == [(3, True), (2, False), (1, False)]
    again = (await put(api)).json()
    assert (again["change"], again["version"]) == ("created", 4)
    told = await fleet.rows("SELECT kind, actor, subject_name FROM events WHERE kind LIKE 'policy.%' ORDER BY seq")
    assert [row[0] for row in told] == ["policy.applied", "policy.applied", "policy.deleted", "policy.applied"]
    assert {row[1:] for row in told} == {("token:tester", "mine")}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"filters": ["fits", "fit"]}, "filters[1]"),
        ({"scorers": {"balence": 1.0}}, "scorers.balence"),
        ({"scorers": {"balance": 0}}, "scorers"),
        ({"scorers": {"balance": "1"}}, "scorers.balance"),
        ({"overcommit": {"memory": 0}}, "overcommit.memory"),
        ({"memory_threshold": 80}, "memory_threshold"),
        ({"preemtion": {}}, "preemtion"),
        ({"name": "other"}, "name"),
    ],
)
async def test_what_cannot_be_used_is_refused_by_its_field(
    api: httpx2.AsyncClient, fleet: Fleet, changes: dict[str, Any], field: str
) -> None:
    """And nothing is kept of it."""
    assert fields(await put(api, **changes)) == [field]
    assert (await api.get("/policies/mine")).status_code == 404


@pytest.mark.parametrize("weight", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_a_weight_that_is_not_finite_is_refused(api: httpx2.AsyncClient, weight: str) -> None:
    """However it is written."""
    body = '{"name": "mine", "scorers": {"balance": %s}}' % weight  # noqa: UP031 - braces
    answer = await api.put("/policies/mine", content=body, headers={"Content-Type": "application/json"})
    assert fields(answer) == ["scorers.balance"]


async def test_built_in_policies_are_nobodys_to_change(api: httpx2.AsyncClient) -> None:
    """They can be copied."""
    spread = (await api.get("/policies/spread")).json()["document"]

    refused = await api.put("/policies/spread", json=spread | {"wishes": 9.0})
    assert refused.status_code == 409
    assert "pfi policy show spread" in refused.json()["detail"]
    assert (await api.delete("/policies/spread")).status_code == 409
    assert (await api.put("/policies/mine", json=spread | {"name": "mine"})).json()["version"] == 1


async def test_who_did_not_see_the_latest_version_does_not_overwrite_it(api: httpx2.AsyncClient) -> None:
    """A retry of what was written already is none."""
    assert (await put(api, expected=1)).status_code == 409
    assert (await put(api, expected=0)).json()["version"] == 1
    assert (await put(api, expected=0)).json()["change"] == "unchanged"
    refused = await put(api, expected=0, wishes=1.0)
    assert refused.status_code == 409
    assert "version 1 by now" in refused.json()["detail"]
    assert (await put(api, expected=1, wishes=1.0)).json()["version"] == 2


async def test_the_next_container_goes_by_what_was_just_written(
    api: httpx2.AsyncClient, process: Process, fleet: Fleet
) -> None:
    """The scheduler that runs heeds it."""
    for number in range(3):
        await fleet.node(f"node-{number}", cpu_millicores=64_000)
    await put(api)
    assert (await api.patch("/clusters/default", json={"policy": "mine"})).status_code == 200
    await fleet.ask("a-1", "a-2", "a-3", cpu=2)
    await place_pending(process, fleet.cluster_id)
    await put(api, scorers={"few-containers": 1.0})
    await fleet.ask("b-1", "b-2", cpu=2)
    await place_pending(process, fleet.cluster_id)

    rows = await fleet.rows("SELECT node_id FROM containers ORDER BY hostname")
    assert len(set(rows[:3])) == 1
    assert len(set(rows[3:])) == 2
    assert not set(rows[:3]) & set(rows[3:])


async def test_a_policy_is_tried_before_it_is_written(api: httpx2.AsyncClient, fleet: Fleet) -> None:
    """On the fleet as it is, with the best nodes and what was rejected; nothing is stored."""
    for number in range(2):
        await fleet.node(f"node-{number}")
    containers = [{"hostname": f"c-{number}", "memory": "10GiB"} for number in range(3)]
    document = packing(overcommit={"memory": 1.5})
    body = {"containers": containers, "document": document, "explain": True}

    plan = (await api.post("/plans/create", json=body)).json()

    assert [one["hostname"] for one in plan["placed"]] == ["c-0", "c-1"]
    assert plan["placed"][0]["candidates"][0]["node"] == plan["placed"][0]["node"]
    assert set(plan["placed"][0]["candidates"][0]["scores"]) == {"used-share"}
    assert plan["simulated"] == ["node-0", "node-1"]
    assert [(one["filter"], one["nodes"]) for one in plan["waiting"][0]["rejections"]] == [("fits", 2)]
    body["document"] = document | {"overcommit": {}}
    assert (await api.post("/plans/create", json=body)).json()["type"] == "/problems/never-fits"
    body["document"] = packing(scorers={"balence": 1.0})
    assert fields(await api.post("/plans/create", json=body)) == ["document.scorers.balence"]
    assert (await api.get("/policies/mine")).status_code == 404


async def test_a_plugin_may_be_named_where_it_is_installed(
    api: httpx2.AsyncClient, process: Process, fleet: Fleet
) -> None:
    """One that fails is told of when it is tried; one that is gone makes the policy unusable, and that is shown."""

    class Failing:
        def score(self, fleet: Any, ask: Any) -> Any:
            return np.array(["?"])

    await fleet.node("node-0")
    assert fields(await put(api, scorers={"last": 1.0})) == ["scorers.last"]
    process.rules = Rules(FILTERS, {**SCORERS, "last": PluginScorer("last", Failing())})

    assert (await put(api, scorers={"last": 1.0})).json()["problem"] is None
    body = {"containers": [{"hostname": "web"}], "document": packing(scorers={"last": 1.0})}
    plan = (await api.post("/plans/create", json=body)).json()
    assert [one.partition(":")[0] for one in plan["skipped"]] == ["scorer last"]
    process.rules = BUILT_IN
    assert "'last' is not a scorer here" in (await api.get("/policies/mine")).json()["problem"]
