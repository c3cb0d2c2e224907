"""What happened behind Pathfinder's back: the next inventory finds it and puts it right, and only what is ours."""

from uuid import uuid4

import pytest
from harness import Harness

from pathfinder.domain.lifecycle import Status
from pathfinder.domain.messages import Kind
from pathfinder.runtime.lxd_order import MARK_CLUSTER, MARK_CONTAINER, MARK_GENERATION

pytestmark = pytest.mark.lab


async def test_an_instance_removed_behind_pathfinders_back_comes_back(harness: Harness) -> None:
    """It is the same placement again, and the events tell what was found."""
    made = (await harness.create("robbed"))["robbed"]
    node = made.node or ""

    await harness.remove(node, "robbed")

    # An inventory may have come between its stop and its end, and have told of both.
    found = await harness.event(Kind.CONTAINER_MISSING, made.id)
    assert {one.body["why"] for one in found} <= {"removed behind Pathfinder's back", "not running"}
    await harness.event(Kind.CONTAINER_PROVISIONED, made.id, count=2)
    again = await harness.status("robbed", Status.PROVISIONED)
    assert (again.node, again.generation) == (node, made.generation)
    await harness.exactly("robbed")


async def test_an_instance_stopped_behind_pathfinders_back_is_started_with_its_disk(harness: Harness) -> None:
    """It is the same instance, not a new one."""
    made = (await harness.create("halted"))["halted"]
    node = made.node or ""
    before = (await harness.instances(node))["halted"]

    await harness.lxd(node, "PUT", "instances/halted/state", {"action": "stop", "force": True, "timeout": 30})

    await harness.event(Kind.CONTAINER_RESTARTED, made.id)
    after = (await harness.instances(node))["halted"]
    assert after["status"] == "Running"
    assert after["created_at"] == before["created_at"]
    await harness.exactly("halted")


async def test_a_stray_instance_with_our_marks_is_removed(harness: Harness) -> None:
    """Nobody asked for it, so nobody accounts for it."""
    (cluster,) = await harness.sql("SELECT id::text FROM clusters WHERE name = 'default'")
    marks = {MARK_CLUSTER: cluster["id"], MARK_CONTAINER: str(uuid4()), MARK_GENERATION: "1"}
    await harness.put("node-03", "stray", marks)

    async def removed() -> bool:
        return "stray" not in await harness.instances("node-03")

    await harness.until("the end of the stray", removed)


async def test_a_former_placement_that_is_found_again_is_removed(harness: Harness) -> None:
    """The present placement stays, whatever carries the same id elsewhere."""
    made = (await harness.create("twin"))["twin"]
    other = next(node for node in harness.lab.nodes() if node != made.node)
    (cluster,) = await harness.sql("SELECT id::text FROM clusters WHERE name = 'default'")
    marks = {MARK_CLUSTER: cluster["id"], MARK_CONTAINER: str(made.id), MARK_GENERATION: "0"}

    await harness.put(other, "twin", marks)

    await harness.exactly("twin")
    assert (await harness.client.containers.get("twin")).node == made.node


async def test_an_instance_somebody_made_by_hand_is_never_touched(harness: Harness) -> None:
    """Not by an inventory, and not for a container of the same name, which fails and says why."""
    await harness.only("node-01")
    await harness.put("node-01", "handmade")
    try:
        before = (await harness.instances("node-01"))["handmade"]

        refused = (await harness.create("handmade", max_attempts=1))["handmade"]

        assert refused.status == Status.PROVISION_ERROR
        assert "handmade" in (refused.message or "")
        assert "Pathfinder did not make" in (refused.message or "")
        assert await harness.mistakes_in_the_books() == []
        await harness.client.containers.delete("handmade")
        # A stray that is removed shows that inventories were compared meanwhile.
        await test_a_stray_instance_with_our_marks_is_removed(harness)
        after = (await harness.instances("node-01"))["handmade"]
        assert (after["state"]["pid"], after["config"]) == (before["state"]["pid"], before["config"])
    finally:
        await harness.remove("node-01", "handmade")
