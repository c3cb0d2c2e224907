"""Deployments that scale themselves by what real containers use."""

import pytest
from harness import Harness

from pathfinder.domain.lifecycle import Status

pytestmark = pytest.mark.lab

TARGET = 40
WEB = {
    "name": "busy",
    "replicas": 2,
    "template": {"cpu": "100m", "memory": "64MiB"},
    "autoscaling": {
        "min": 2,
        "max": 6,
        "metrics": [{"type": "cpu", "target_percent": TARGET}],
        "up": {"stabilisation_seconds": 0},
        "down": {"stabilisation_seconds": 6},
    },
}

#: Uses all the CPU there is until it is told to stop; LXD waits for what is not in the background.
BURN = ["sh", "-c", "(while [ ! -e /enough ]; do :; done) </dev/null >/dev/null 2>&1 &"]


async def run_in(harness: Harness, hostname: str, command: list[str]) -> None:
    """Run a command in a container."""
    node = (await harness.client.containers.get(hostname)).node or ""
    body = {"command": command, "wait-for-websocket": False, "interactive": False, "record-output": False}
    await harness.lxd(node, "post", f"instances/{hostname}/exec", body)


async def running(harness: Harness, *numbers: int) -> None:
    """Wait until exactly these replicas are wanted and run."""
    names = {f"busy-{number:02d}" for number in numbers}

    async def check() -> bool:
        wanted = await harness.client.deployments.get("busy")
        there = {one.hostname: one.status for one in await harness.containers()}
        return wanted.replicas == len(names) and there == dict.fromkeys(names, Status.PROVISIONED)

    await harness.until(f"{len(names)} replicas", check)


async def test_cpu_load_in_real_containers_scales_two_to_five_and_back_to_two(harness: Harness) -> None:
    """Two that use all of their CPU, at 40 percent wanted, are work for five; once idle, for the two."""
    await harness.client.deployments.apply("busy", WEB)
    await running(harness, 1, 2)

    for hostname in ("busy-01", "busy-02"):
        await run_in(harness, hostname, BURN)
    await running(harness, 1, 2, 3, 4, 5)
    state = await harness.client.autoscaling.get("busy")

    for hostname in ("busy-01", "busy-02"):
        await run_in(harness, hostname, ["touch", "/enough"])
    await running(harness, 1, 2)

    grown = [one.metrics[0] for one in state.decisions if one.after > one.before]
    assert {one.name for one in grown} == {"cpu"}
    assert all(TARGET < (one.value or 0) < 140 for one in grown)  # how far above depends on who else uses this machine
