"""Bootstrappers in a real container: what they leave there, and that an agent's death leaves no two at once."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from pathfinder.domain.bootstrapping import File
from pathfinder.domain.instances import InstanceOrder
from pathfinder.domain.messages import Command, Envelope, Report
from pathfinder.runtime.lxd import LxdRuntime
from workers.agent.bootstrap import Bootstraps
from workers.agent.reporting import Reporter

pytestmark = pytest.mark.lxd

MakeOrder = Callable[..., InstanceOrder]


class Said:
    """Keeps the last report."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []

    async def about(self, command: Envelope, kind: Report, **body: Any) -> None:
        self.steps = body["steps"]


def bootstrap(order: InstanceOrder, *bootstrappers: dict[str, Any]) -> Envelope:
    """The command."""
    body = {"hostname": order.hostname, "epoch": 0, "run": 1, "done": 0, "bootstrappers": list(bootstrappers)}
    return Envelope(Command.BOOTSTRAP, order.cluster_id, order.container_id, order.generation, body=body)


async def plain(_: str, files: Sequence[File]) -> tuple[File, ...]:
    """Files without secrets."""
    return tuple(files)


async def agent(lxd: LxdRuntime) -> tuple[Bootstraps, Said]:
    """The part of an agent that bootstraps, and what it reports."""
    made, said = Bootstraps(lxd, plain), Said()
    await made.connected(cast(Reporter, said))
    return made, said


async def ended(hand: Bootstraps) -> None:
    """Wait until nothing is in hand."""
    async with asyncio.timeout(60):
        while hand.in_hand:  # noqa: ASYNC110 - a task's doing
            await asyncio.sleep(0.05)


async def test_scripts_files_and_chef_solo_do_their_work_in_order(lxd: LxdRuntime, order: MakeOrder) -> None:
    """chef-solo is a stand-in that keeps its arguments; one that fails for good keeps the next from being begun."""
    wanted = order()
    await lxd.create(wanted, lambda *_: None)
    await lxd.start(wanted.hostname)
    stand_in = {"path": "/usr/bin/chef-solo", "content": '#!/bin/sh\necho "$@" > /chef\ncat "$4" >> /chef\n'}
    hand, said = await agent(lxd)

    hand.start(
        bootstrap(
            wanted,
            {"type": "files", "name": "chef", "files": [{**stand_in, "mode": "0755"}]},
            {"type": "script", "name": "greet", "script": "echo hello $WHO", "environment": {"WHO": "world"}},
            {"type": "chef-solo", "cookbooks_url": "https://example.org/c.tgz", "attributes": {"run_list": ["web"]}},
            {"type": "script", "name": "broken", "script": "echo no >&2; exit 7", "retries": 0},
            {"type": "script", "name": "never", "script": "touch /never"},
        )
    )
    await ended(hand)
    result = await lxd.execute(wanted.hostname, ["/bin/sh", "-c", "cat /chef; ls /never"], timeout_seconds=20)

    assert [step["status"] for step in said.steps] == ["DONE", "DONE", "DONE", "FAILED", "WAITING"]
    assert said.steps[1]["output"] == "hello world\n"
    assert (said.steps[3]["exit_code"], said.steps[3]["output"]) == (7, "no\n")
    assert "--recipe-url https://example.org/c.tgz --json-attributes" in result.output
    assert '{"run_list":["web"]}' in result.output
    assert result.exit_code != 0


async def test_a_script_that_a_dead_agent_left_running_ends_before_it_is_begun_again(
    lxd: LxdRuntime, order: MakeOrder
) -> None:
    """So it never runs twice at once: what the first left to do is never done."""
    wanted = order()
    await lxd.create(wanted, lambda *_: None)
    await lxd.start(wanted.hostname)
    first, _ = await agent(lxd)
    script = (
        "echo begun >> /log; if [ ! -e /again ]; then touch /again; sleep 4; echo first >> /log; fi; echo end >> /log"
    )
    command = bootstrap(wanted, {"type": "script", "name": "slow", "script": script})
    first.start(command)
    async with asyncio.timeout(30):
        while (await lxd.execute(wanted.hostname, ["/bin/ls", "/again"], timeout_seconds=20)).exit_code:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    first.close()

    second, said = await agent(lxd)
    second.start(command)
    await ended(second)
    await asyncio.sleep(4.5)  # the first would have gone on by now
    log = await lxd.execute(wanted.hostname, ["/bin/cat", "/log"], timeout_seconds=20)

    assert said.steps[0]["status"] == "DONE"
    assert log.output.split() == ["begun", "begun", "end"]
