"""Placement on real nodes: where containers go, what they get, and what happens when there is no room."""

from collections import Counter

import pytest
from harness import Harness

from pathfinder.domain.lifecycle import Status
from pathfinder.runtime.lxd_order import MARK_CLUSTER, MARK_CONTAINER, MARK_GENERATION

pytestmark = pytest.mark.lab


async def test_nine_containers_spread_over_three_nodes_and_run_there_as_asked(harness: Harness) -> None:
    """Each one is a real instance on the node Pathfinder names, with its address, its limits and its marks."""
    names = [f"spread-{number}" for number in range(9)]

    made = await harness.create(*names, cpu="500m", memory="64MiB", config={"user.colour": "green"})

    assert {one.status for one in made.values()} == {Status.PROVISIONED}
    assert Counter(one.node for one in made.values()) == dict.fromkeys(harness.lab.nodes(), 3)
    assert len({one.ipaddress for one in made.values()}) == 9
    (cluster,) = await harness.sql("SELECT id FROM clusters WHERE name = 'default'")
    for node in harness.lab.nodes():
        there = await harness.instances(node)
        mine = {name: one for name, one in made.items() if one.node == node}
        assert there.keys() == mine.keys()
        for name, one in mine.items():
            instance = there[name]
            addresses = [each["address"] for each in instance["state"]["network"]["eth0"]["addresses"]]
            wanted = {
                MARK_CONTAINER: str(one.id),
                MARK_GENERATION: str(one.generation),
                MARK_CLUSTER: str(cluster["id"]),
                "limits.cpu": "1",
                "limits.cpu.allowance": "50ms/100ms",
                "limits.memory": "64MiB",
                "user.colour": "green",
            }
            assert instance["status"] == "Running"
            assert one.ipaddress in addresses
            assert wanted.items() <= instance["config"].items()
    assert await harness.mistakes_in_the_books() == []


async def test_delete_removes_the_instance_and_frees_its_claim(harness: Harness) -> None:
    """Afterwards neither LXD nor the node's books know of it, and its name is free."""
    made = await harness.create("short-lived", memory="128MiB")
    node = made["short-lived"].node or ""
    assert (await harness.client.nodes.get(node)).allocated.memory_bytes == 128 << 20

    await harness.client.containers.delete("short-lived")
    await harness.gone("short-lived")

    assert "short-lived" not in await harness.instances(node)
    allocated = (await harness.client.nodes.get(node)).allocated
    assert (allocated.memory_bytes, allocated.containers) == (0, 0)
    again = await harness.create("short-lived")
    assert again["short-lived"].status == Status.PROVISIONED
    assert again["short-lived"].id != made["short-lived"].id


async def test_a_rescheduled_container_moves_and_leaves_nothing_behind(harness: Harness) -> None:
    """It is the same container in its next generation, on a node that may take it, and nowhere else."""
    before = (await harness.create("mover"))["mover"]
    await harness.client.nodes.cordon(before.node or "")

    await harness.client.containers.reschedule("mover")
    after = await harness.status("mover", Status.PROVISIONED)

    assert after.id == before.id
    assert after.generation == before.generation + 1
    assert after.node != before.node
    await harness.exactly("mover")


async def test_a_container_may_be_rescheduled_onto_the_node_it_leaves(harness: Harness) -> None:
    """The delete of the old placement and the provision of the new one meet on one node, and the new one wins."""
    await harness.only("node-01")
    before = (await harness.create("stayer"))["stayer"]

    for moves in (1, 2):
        await harness.client.containers.reschedule("stayer")
        after = await harness.status("stayer", Status.PROVISIONED)
        assert (after.generation, after.node) == (before.generation + moves, "node-01")

    await harness.exactly("stayer")


async def test_a_cordoned_node_gets_no_container_until_it_is_uncordoned(harness: Harness) -> None:
    """What runs there already is left alone."""
    resident = (await harness.create("resident"))["resident"]
    cordoned = resident.node or ""
    await harness.client.nodes.cordon(cordoned)

    others = await harness.create(*(f"newcomer-{number}" for number in range(4)))

    assert cordoned not in {one.node for one in others.values()}
    assert (await harness.client.containers.get("resident")).status == Status.PROVISIONED
    await harness.client.nodes.uncordon(cordoned)
    assert (await harness.create("latecomer"))["latecomer"].node == cordoned


async def test_with_every_node_cordoned_a_container_waits_and_is_placed_by_the_uncordon(harness: Harness) -> None:
    """Waiting is no error: the reasons are there to read, and room is used as soon as it appears."""
    await harness.only()
    await harness.client.containers.create("patient")

    async def explained() -> object:
        explanation = await harness.client.containers.explain("patient")
        return {(each.filter, each.nodes) for each in explanation.rejections} == {("schedulable", 3)}

    await harness.until("the reasons", explained)
    assert (await harness.client.containers.get("patient")).status == Status.PENDING

    await harness.client.nodes.uncordon("node-02")

    assert (await harness.status("patient", Status.PROVISIONED)).node == "node-02"


async def test_a_container_too_big_for_the_free_room_waits_until_room_is_freed(harness: Harness) -> None:
    """Capacity is never overbooked, and what a deleted container held goes to the one that waits."""
    capacity = (await harness.client.nodes.get("node-01")).capacity.memory_bytes
    most = capacity * 6 // 10
    residents = await harness.create("big-1", "big-2", "big-3", memory=most)
    assert len({one.node for one in residents.values()}) == 3
    await harness.client.containers.create("big-4", memory=most)

    async def explained() -> object:
        explanation = await harness.client.containers.explain("big-4")
        return {(each.filter, each.nodes) for each in explanation.rejections} == {("fits", 3)}

    await harness.until("the reasons", explained)
    waiting = await harness.client.containers.get("big-4")
    assert waiting.status == Status.PENDING
    assert "memory" in (waiting.message or "")

    await harness.client.containers.delete("big-2")

    assert (await harness.status("big-4", Status.PROVISIONED)).node == residents["big-2"].node
    await harness.exactly("big-1", "big-3", "big-4")
