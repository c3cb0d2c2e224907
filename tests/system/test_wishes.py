"""What is asked of a placement, on real nodes: limits in LXD's own words, and rules about company."""

import pytest
from harness import Harness

from pathfinder.client.containers import Wishes
from pathfinder.domain.lifecycle import Status

pytestmark = pytest.mark.lab


async def test_an_instance_may_use_up_to_its_limits_and_claims_what_was_asked_for(harness: Harness) -> None:
    """LXD has the limits, the node's books the request."""
    made = await harness.create(
        "roomy", cpu="250m", memory="64MiB", limits={"cpu": "1.5", "memory": "128MiB"}, type="stateful"
    )

    node = made["roomy"].node or ""
    config = (await harness.instances(node))["roomy"]["config"]
    assert {key: config[key] for key in ("limits.cpu", "limits.cpu.allowance", "limits.memory")} == {
        "limits.cpu": "2",
        "limits.cpu.allowance": "150ms/100ms",
        "limits.memory": "128MiB",
    }
    allocated = (await harness.client.nodes.get(node)).allocated
    assert (allocated.cpu_millicores, allocated.memory_bytes, allocated.stateful) == (250, 64 << 20, 1)
    assert await harness.mistakes_in_the_books() == []


async def test_containers_that_must_be_apart_are_on_nodes_of_their_own_and_the_fourth_waits_for_one(
    harness: Harness,
) -> None:
    """Three nodes, so three of them; the fourth goes where one leaves."""
    wishes = {"labels": {"app": "web"}, "affinity": [{"to": "app=web", "rule": "apart"}]}
    made = await harness.create("web-1", "web-2", "web-3", **wishes)
    assert {one.node for one in made.values()} == set(harness.lab.nodes())

    await harness.ask("web-4", **wishes)

    async def told() -> bool:
        message = (await harness.client.containers.get("web-4")).message
        return message is not None and "app=web" in message

    await harness.until("why web-4 waits", told)
    await harness.client.containers.delete("web-2")
    assert (await harness.status("web-4", Status.PROVISIONED)).node == made["web-2"].node
    await harness.exactly("web-1", "web-3", "web-4")


async def test_a_label_that_an_operator_sets_brings_in_what_waited_for_it(harness: Harness) -> None:
    """A node also tells what it is without being asked: its LXD, its storage, the images it has."""
    lately: Wishes = {"constraints": ["ssd", "node.lxd>4", "node.storage"], "tolerations": ["dedicated"]}
    await harness.client.nodes.update("node-03", taints=["dedicated=db:NoSchedule"])
    try:
        await harness.ask("picky", **lately)

        async def told() -> bool:
            message = (await harness.client.containers.get("picky")).message
            return message is not None and "no node has a label ssd" in message

        await harness.until("why it waits", told)
        await harness.client.nodes.update("node-03", labels={"ssd": ""})

        picky = await harness.status("picky", Status.PROVISIONED)
        others = await harness.create("other-1", "other-2", "other-3")
        assert picky.node == "node-03"
        assert "node-03" not in {one.node for one in others.values()}

        async def has_image() -> bool:
            return picky.image in (await harness.client.nodes.get("node-03")).images

        await harness.until("its images are known", has_image)
    finally:
        await harness.client.nodes.update("node-03", labels={"ssd": None}, untaint=["dedicated"])
