"""`python -m benchmarks.agents FIRST LAST`: the agents of many simulated nodes in one process.

Each is the real role with a machine of its own; their settings are the environment's, but for what differs by node.
"""

import asyncio
import sys
from pathlib import Path

import uvloop

import workers.agent
from benchmarks.naming import node_address, node_name
from pathfinder.bootstrap import Process, configure_logging
from pathfinder.runtime.simulated import SimulatedRuntime
from pathfinder.settings import Settings

#: Machines are added to a fleet one after the other; it is their coming back that happens to all at once.
START_SECONDS = 0.3


def main() -> None:
    """Run the agents until killed."""
    first, last = int(sys.argv[1]), int(sys.argv[2])
    configure_logging(Settings(log_level="warning"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_all(range(first, last + 1)))


async def _all(numbers: range) -> None:
    root = Settings().state_dir
    async with asyncio.TaskGroup() as group:
        for number in numbers:
            directory = root / node_name(number)
            directory.mkdir(parents=True, exist_ok=True)
            group.create_task(_agent(number, directory))
            await asyncio.sleep(START_SECONDS)


async def _agent(number: int, directory: Path) -> None:
    name = node_name(number)
    settings = Settings(node_name=name, node_address=node_address(number), state_dir=directory)
    # Its instances outlive the process, as LXD's do.
    runtime = SimulatedRuntime(name, seed=number, journal=directory / "instances.jsonl")
    await workers.agent.serve(Process(settings), runtime)


if __name__ == "__main__":
    main()
