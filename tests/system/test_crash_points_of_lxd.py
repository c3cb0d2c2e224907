"""An agent that dies between two steps on a real LXD; every other point is in the integration tests."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from harness import DEADLINE_SECONDS, Harness

pytestmark = pytest.mark.lab

NODE = "node-01"


def dying_agent(harness: Harness, point: str, marker: Path) -> "subprocess.Popen[bytes]":
    """The node's agent once more, outside of the node but on its LXD, about to die."""
    lab = harness.lab
    return subprocess.Popen(
        (sys.executable, "-m", "pathfinder.cli.operator", "run", "agent"),
        env=os.environ
        | {
            "PATHFINDER_RUNTIME": "lxd",
            "PATHFINDER_LXD_SOCKET": str(lab.socket(NODE)),
            "PATHFINDER_NODE_NAME": NODE,
            "PATHFINDER_NODE_ADDRESS": lab.address(NODE),
            "PATHFINDER_API_URL": lab.api_url,
            "PATHFINDER_BROKER_URL": lab.broker_url,
            # Its credential is there, as after any restart.
            "PATHFINDER_STATE_DIR": str(lab.home.root / "nodes" / NODE / "agent"),
            "PATHFINDER_FAILPOINT": f"{point}:{marker}",
        },
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("point", ["agent.provision.created", "agent.provision.started", "agent.delete.removed"])
async def test_an_agent_that_dies_between_two_steps_on_lxd_finishes_when_it_is_back(
    harness: Harness, point: str, tmp_path: Path
) -> None:
    """Two are asked for, one is deleted: one runs, once, and nothing is left in LXD or in the books."""
    await harness.only(NODE)
    await asyncio.to_thread(harness.lab.stop_role, "agent", NODE)
    victim = dying_agent(harness, point, tmp_path / "marker")
    try:
        await harness.ask("stays", "goes")
        if "delete" in point:
            await harness.settled("stays", "goes")
            await harness.client.containers.delete("goes")
        assert await asyncio.to_thread(victim.wait, DEADLINE_SECONDS) == -signal.SIGKILL
    finally:
        victim.kill()
        victim.wait()
        harness.lab.start_role("agent", NODE)

    if "delete" not in point:
        await harness.settled("stays", "goes")
        await harness.client.containers.delete("goes")
    await harness.gone("goes")
    await harness.exactly("stays")
