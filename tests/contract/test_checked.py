"""A real container is looked after: its checks, its crash, what a command in it says."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from pathfinder.domain.instances import InstanceOrder
from pathfinder.domain.messages import Envelope, Report
from pathfinder.runtime.lxd import LxdRuntime
from pathfinder.settings import Settings
from workers.agent import endings, lease
from workers.agent.admission import Admission, Membership
from workers.agent.lease import Lease
from workers.agent.reporting import Reporter
from workers.agent.worklist import Worklist

pytestmark = pytest.mark.lxd

MakeOrder = Callable[..., InstanceOrder]

CHECKS: tuple[dict[str, Any], ...] = (
    {"name": "web", "http": {"port": 80, "path": "/index.html", "body": "hello"}, "interval_seconds": 0.2},
    {"name": "file", "exec": {"command": ["test", "-e", "/well"]}, "interval_seconds": 0.2, "unhealthy_after": 1},
)


class Said:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []

    async def about(self, about: Envelope, kind: Report, **body: Any) -> None:
        self.bodies.append(body)

    async def until(self, health: str, restarts: int) -> dict[str, Any]:
        """Wait until that is said."""
        async with asyncio.timeout(60):
            while True:
                for body in self.bodies:
                    if (body["health"], body["restarts"]) == (health, restarts):
                        return body
                await asyncio.sleep(0.05)


async def test_a_container_is_checked_and_restarted_when_it_crashed_or_is_unhealthy(
    lxd: LxdRuntime, order: MakeOrder, tmp_path: Path
) -> None:
    """Over its network and by a command; what it answers after a restart counts anew."""
    wanted = order(checks=CHECKS, restart={"delay_seconds": 0.2, "most_delay_seconds": 0.2})
    settings = Settings(state_dir=tmp_path)
    membership = Membership(settings, lxd)
    membership._admission = Admission("n", "node-01", wanted.cluster_id, "", 0, 5.0, 15.0)
    right = Lease(tmp_path / "lease.json")
    right.renew(wanted.cluster_id, lease.now(), 3600)
    works, said = Worklist(lxd, membership, right, settings), Said()
    works.checking.reporter = cast(Reporter, said)

    async def inside(command: str) -> None:
        await lxd.execute(wanted.hostname, ["/bin/sh", "-c", command], timeout_seconds=20)

    await lxd.create(wanted, lambda *_: None)
    await lxd.start(wanted.hostname)
    await lxd.address(wanted.hostname, 30)
    await inside("echo hello > /root/index.html; touch /well; httpd -p 80 -h /root")
    # Nothing else tells of a crash here: no inventory comes.
    hearing = asyncio.create_task(endings.hear(lxd, works.checking.look, asyncio.Event()))
    try:
        await works.checking.sync(await lxd.instances(wanted.cluster_id), (), works.term)
        await said.until("HEALTHY", 0)

        await inside("rm /well")
        assert (await said.until("UNHEALTHY", 0))["message"] == "file: test ended with 1"
        await inside("touch /well")
        await said.until("UNKNOWN", 1)
        await inside("httpd -p 80 -h /root")
        await said.until("HEALTHY", 1)

        await inside("kill -TERM 1")
        await said.until("UNKNOWN", 2)
    finally:
        hearing.cancel()
        works.checking.close()
    found = await lxd.instance(wanted.hostname)
    assert found is not None
    assert found.running
