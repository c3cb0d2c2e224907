"""controller: watches over nodes, heals what dies with them, rolls out and scales deployments, and tidies up.

One of several leads, the others wait.
"""

import asyncio
from functools import partial

from aio_pika.abc import AbstractConnection

from pathfinder.bootstrap import Process
from pathfinder.broker.connection import pause
from pathfinder.store.leadership import Leadership
from workers import blackout, problems
from workers.autoscaling import Autoscaler
from workers.deployments import Deployments
from workers.leadership import while_leading
from workers.monitor import Monitor
from workers.tidy import Tidy

#: How often it is asked whether there is something to tidy up.
TIDY_SECONDS = 1.0


async def run(process: Process) -> None:
    """Watch until told to stop."""
    queues = problems.Queues()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(process.broker("controller").run(partial(_serve, process, queues), process.stopping))
        tasks.create_task(problems.run(process, queues))
        tasks.create_task(blackout.run(process, problems.LEAD))


async def _serve(process: Process, queues: problems.Queues, connection: AbstractConnection) -> None:
    """Only the leader watches, and only while it has a broker: without one it cannot know what is heard of nodes."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(queues.measure(process, connection))
        tasks.create_task(while_leading(process, "controller", partial(_lead, process, connection)))


async def _lead(process: Process, connection: AbstractConnection, lead: Leadership) -> None:
    async with asyncio.TaskGroup() as tasks:
        monitor = Monitor(process, connection, lead)
        working = [
            tasks.create_task(monitor.run()),
            tasks.create_task(Autoscaler(process, lead, monitor.usages).run()),
            tasks.create_task(Deployments(process, connection).run()),
            tasks.create_task(_tidy(process)),
        ]
        await process.stopping.wait()
        for task in working:
            task.cancel()


async def _tidy(process: Process) -> None:
    tidy = Tidy(process)
    while not process.stopping.is_set():
        await tidy.run()
        await pause(process.stopping, TIDY_SECONDS)
