"""Decisions as they are kept and explained: written with the placement, read whole, and gone after their time."""

import httpx2
import pytest
from workbench import Fleet

from pathfinder.bootstrap import Process
from workers.scheduler import place_pending
from workers.tidy import Tidy


async def explained(api: httpx2.AsyncClient, name: str) -> dict[str, object]:
    """The explanation of a container."""
    answer = await api.get(f"/containers/{name}/explain")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("policy", ["spread", "binpack", "balanced", "random"])
async def test_every_placement_is_explained_by_what_it_follows_from(
    fleet: Fleet, process: Process, api: httpx2.AsyncClient, policy: str
) -> None:
    """Each container of many equal ones, and those that choose their company: the node that follows is the node."""
    for number in range(4):
        await fleet.node(f"node-{number}", labels={"zone": "ab"[number % 2]})
    equal = [f"equal-{number}" for number in range(9)]
    choosy = [f"choosy-{number}" for number in range(3)]
    await fleet.ask(*equal, cpu=1, policy=policy)
    rule = {"to": "app=x", "over": "node", "rule": "apart"}
    await fleet.ask(*choosy, cpu=1, labels={"app": "x"}, affinity=[rule], policy=policy)

    await place_pending(process, fleet.cluster_id)

    for name in (*equal, *choosy):
        told = await explained(api, name)
        assert told["recomputed"] == told["node"] is not None
        assert told["policy"] == policy
        assert set(told["weights"]) >= {"untainted", "wishes"}  # type: ignore[call-overload]
    kept = await fleet.rows("SELECT count(*) FROM decisions")
    assert kept[0][0] <= 1 + len(choosy)  # type: ignore[operator]


async def test_whoever_waits_is_told_what_would_help(fleet: Fleet, process: Process, api: httpx2.AsyncClient) -> None:
    """The events of the filters that rejected its nodes."""
    await fleet.node("node-0")
    await fleet.ask("a", cpu=8)
    await fleet.ask("b", cpu=8)

    await place_pending(process, fleet.cluster_id)

    told = [await explained(api, name) for name in ("a", "b")]
    waits = next(one for one in told if one["node"] is None)
    (rejection,) = waits["rejections"]  # type: ignore[misc]
    assert rejection["filter"] == "fits"
    assert "container.deleted" in rejection["wakes"]
    assert (waits["recomputed"], waits["candidates"]) == (None, [])


async def test_old_decisions_go_and_their_containers_stay(
    fleet: Fleet, process: Process, api: httpx2.AsyncClient
) -> None:
    """What is left says so."""
    await fleet.node("node-0")
    await fleet.ask("old")
    await place_pending(process, fleet.cluster_id)
    await fleet.rows("UPDATE decisions SET at = at - interval '31 days' RETURNING id")
    await fleet.ask("young")
    await place_pending(process, fleet.cluster_id)

    await Tidy(process).run()

    old, young = await explained(api, "old"), await explained(api, "young")
    assert old["message"] == "No decision on it is kept any more."
    assert old["node"] == young["recomputed"] == "node-0"
