"""A node that is cut off: Pathfinder notices, touches nothing on it, and believes it again when it is back."""

import pytest
from harness import Harness

from pathfinder.domain.lifecycle import Status

pytestmark = pytest.mark.lab


async def test_a_node_that_is_cut_off_goes_down_while_its_containers_run_on(harness: Harness) -> None:
    """Healed, it is READY again, with the same instances, and gets the commands it missed."""
    await harness.only("node-03")
    await harness.create("islander", "leaver")
    before = await harness.instances("node-03")

    harness.lab.partition("node-03")
    try:
        await harness.client.containers.delete("leaver")
        await harness.ready("node-03", "DOWN")
        await harness.client.nodes.uncordon("node-01")
        assert (await harness.create("mainlander"))["mainlander"].node == "node-01"
        cut_off = await harness.instances("node-03")
        assert {name: one["state"]["pid"] for name, one in cut_off.items()} == {
            name: one["state"]["pid"] for name, one in before.items()
        }
        assert (await harness.client.containers.get("leaver")).status == Status.SCHEDULE_DELETION
    finally:
        harness.lab.heal("node-03")

    await harness.ready("node-03")
    await harness.gone("leaver")
    after = await harness.instances("node-03")
    assert after["islander"]["state"]["pid"] == before["islander"]["state"]["pid"]
    await harness.exactly("islander", "mainlander")
