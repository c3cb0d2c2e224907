"""`python -m chaos.agents HOST`: many agents in one process, each the real role with a simulated machine of its own.

What the host is to be is in `stage.json` of the working directory. A file in `faults/dead/` named like a node takes
that node's power away; when it is gone the machine boots again, with its disk. One in `faults/sick/` makes the daemon
that holds its instances answer nothing, while they run on.
"""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

import structlog
import uvloop

import workers.agent
from chaos import wiring
from chaos.machine import Machine
from pathfinder.bootstrap import Process, configure_logging
from pathfinder.settings import Settings

log = structlog.get_logger()

POLL_SECONDS = 0.1
#: Each of these machines would have cores of its own, and a process that looks after it when the agent is gone: what
#: else is done on this one must not keep an agent from coming back for as long as a lease lasts.
NICENESS = -10
#: The first time, machines are switched on so long after each other.
FIRST_SECONDS = 0.06


def main() -> None:
    """Run the agents of this host until killed."""
    root, host = Path.cwd(), int(sys.argv[1])
    plan = wiring.Plan.read(root)
    configure_logging(Settings(log_level="warning"))
    with suppress(PermissionError):
        os.nice(NICENESS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_all(root, plan, host))


async def _all(root: Path, plan: wiring.Plan, host: int) -> None:
    async with asyncio.TaskGroup() as group:
        for number in plan.numbers(host):
            group.create_task(_node(root, plan, number))


async def _node(root: Path, plan: wiring.Plan, number: int) -> None:
    """One machine: off, on, off again, as the faults say."""
    name, directory = plan.node(number), plan.directory(root, number)
    settings = Settings(**plan.agent_settings(root, number))
    dead, sick = root / "faults" / "dead" / name, root / "faults" / "sick" / name
    if not directory.exists():  # a fleet is not switched on all at once
        await asyncio.sleep(FIRST_SECONDS * number)
    while True:
        machine = Machine(name, directory, number)
        if dead.exists():
            machine.power_off()
            await _until_gone(dead)
            continue
        process = Process(settings)
        agent = asyncio.create_task(workers.agent.serve(process, machine))
        while not agent.done() and not dead.exists():
            machine.unreachable = sick.exists()
            await asyncio.sleep(POLL_SECONDS)
        if agent.done():
            log.error("agent ended", node=name, error=repr(agent.exception()))
            await asyncio.sleep(1)
            continue
        machine.power_off()
        agent.cancel()
        with suppress(TimeoutError, asyncio.CancelledError, Exception):
            await asyncio.wait_for(asyncio.wait({agent}), 1)


async def _until_gone(path: Path) -> None:
    while path.exists():  # noqa: ASYNC110, ASYNC240 - it is a file that is waited for
        await asyncio.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main()
