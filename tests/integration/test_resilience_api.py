"""Resilience, from the tables to the API."""

from typing import Any

import httpx2
from workbench import Fleet

from pathfinder.bootstrap import Process
from pathfinder.telemetry import RESILIENCE
from workers.resilience import Watch
from workers.scheduler import ANYTHING, place_pending


async def asked(api: httpx2.AsyncClient) -> dict[str, Any]:
    """What the API says."""
    answer = await api.get("/resilience")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_it_follows_the_fleet(api: httpx2.AsyncClient, fleet: Fleet, process: Process) -> None:
    """From yes to no as the nodes fill, and back when one joins; the controller sees the same."""
    watch = Watch(process)
    for number in (1, 2):
        await fleet.node(f"node-{number}", labels={"zone": "ab"[number - 1]})
    await fleet.ask(*(f"c-{number}" for number in range(8)), cpu=1)
    await place_pending(process, fleet.cluster_id, news=ANYTHING)

    assert (await asked(api))["survives_any_node"] is True
    await watch.look()
    assert watch.survivals is not None
    assert watch.survivals[0].survives

    await fleet.ask("fat", cpu=3)
    await fleet.ask("data", cpu=1, type="STATEFUL")
    await place_pending(process, fleet.cluster_id, news=ANYTHING)
    found = await asked(api)

    assert found["survives_any_node"] is False
    assert found["survives_any_zone"] is False
    assert sum(one["stateful"] for one in found["losses"] if one["domain"] == "node") == 1
    worst = found["losses"][0]
    await watch.look()
    assert not watch.survivals[0].survives
    assert str(worst["waiting"]) in watch.survivals[0].words
    (metric,) = RESILIENCE.collect()
    samples = {(one.labels["domain"], one.labels["name"]): one.value for one in metric.samples}
    assert samples == {(one["domain"], one["name"]): one["waiting"] for one in found["losses"]}

    await fleet.node("node-3")
    assert (await asked(api))["survives_any_node"] is True
    RESILIENCE.clear()


async def test_a_cluster_that_is_not_there_is_not_found(api: httpx2.AsyncClient) -> None:
    """404, like everywhere."""
    assert (await api.get("/resilience?cluster=ghost")).status_code == 404
