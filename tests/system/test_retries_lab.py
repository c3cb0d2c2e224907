"""A real node that cannot make containers: they run on another one, and the node is shown for what it is."""

from pathlib import Path

import pytest
from harness import Harness

from pathfinder.domain.lifecycle import Status
from pathfinder.domain.messages import Kind
from pathfinder.embedded.lxd_client import is_trusted

pytestmark = pytest.mark.lab


async def lxd_again(harness: Harness) -> None:
    """Start node-01's LXD and wait until it answers."""
    harness.lab.start_role("lxd", "node-01")

    async def answers() -> bool:
        return is_trusted(harness.lab.socket("node-01"))

    await harness.until("node-01's LXD", answers)


async def test_what_a_node_without_its_daemon_cannot_make_runs_on_another(harness: Harness, tmp_path: Path) -> None:
    """The agent says whose fault it is; `describe` shows the attempt, and what ran on the node runs on."""
    await harness.only("node-01")
    resident = (await harness.create("resident"))["resident"]
    harness.lab.stop_role("lxd", "node-01")
    try:
        (asked,) = await harness.ask("wanderer")
        (failed,) = await harness.event(Kind.CONTAINER_PROVISION_FAILED, asked.id)
        assert (failed.node, failed.body["fault"], failed.body["attempt"]) == ("node-01", "node", 1)
        await harness.only("node-01", "node-02")

        placed = await harness.status("wanderer", Status.PROVISIONED)

        assert placed.node == "node-02"
        assert placed.failed_attempts == 0
        (attempt,) = await harness.client.containers.attempts("wanderer")
        assert (attempt.node, attempt.generation, attempt.fault) == ("node-01", 1, "node")
        told = await harness.pfi(harness.pfi_environment(tmp_path), "describe", "container", "wanderer")
        assert (told.code, told.err) == (0, "")
        assert "Failed attempts:" in told.out
        assert attempt.reason in told.out
    finally:
        await lxd_again(harness)
    await harness.exactly("resident", "wanderer")
    assert (await harness.client.containers.get("resident")).generation == resident.generation


async def test_a_real_node_that_fails_again_and_again_is_set_aside_and_comes_back(
    harness: Harness, tmp_path: Path
) -> None:
    """Empty of containers it would be the best of all; after three failures nobody is sent there until it is opened."""
    await harness.only("node-02", "node-03")
    await harness.create("b-1", "b-2")
    harness.lab.stop_role("lxd", "node-01")
    try:
        await harness.only("node-01", "node-02", "node-03")
        for name in ("a-1", "a-2", "a-3"):
            made = (await harness.create(name))[name]
            assert (made.status, made.generation) == (Status.PROVISIONED, 2)
            assert made.node != "node-01"
        node = await harness.client.nodes.get("node-01")
        (aside,) = await harness.event(Kind.NODE_SET_ASIDE, node.id)
        assert aside.body["reason"] == node.aside_reason
        shown = await harness.pfi(harness.pfi_environment(tmp_path), "get", "nodes", "-o", "wide")
        assert "READY,ASIDE" in shown.out

        assert (await harness.create("a-4"))["a-4"].generation == 1
    finally:
        await lxd_again(harness)
    await harness.client.nodes.uncordon("node-01")
    await harness.event(Kind.NODE_RESTORED, node.id)
    assert (await harness.create("a-5"))["a-5"].node == "node-01"
    await harness.exactly("a-1", "a-2", "a-3", "a-4", "a-5", "b-1", "b-2")
