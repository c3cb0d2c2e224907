"""controller: watches over the leases of nodes, and tidies up. Of several, one leads; the others stand by."""

import asyncio
import contextlib
from functools import partial

import structlog
from aio_pika.abc import AbstractConnection

from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.connection import pause
from pathfinder.controllers import liveness
from pathfinder.domain.errors import Unavailable
from pathfinder.store import nodes
from pathfinder.store.leadership import Leadership
from workers import problems
from workers.leadership import while_leading
from workers.tidy import Tidy

log = structlog.get_logger()

#: How often leases are looked at.
WATCH_SECONDS = 1.0


async def run(process: Process) -> None:
    """Watch until told to stop."""
    queues = problems.Queues()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(process.broker("controller").run(partial(_serve, process, queues), process.stopping))
        tasks.create_task(problems.run(process, queues))


async def _serve(process: Process, queues: problems.Queues, connection: AbstractConnection) -> None:
    """Only the leader watches, and only while it has a broker: without one it cannot know what is heard of nodes."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(queues.measure(process, connection))
        tasks.create_task(while_leading(process, "controller", partial(_watch, process, connection)))


async def _watch(process: Process, connection: AbstractConnection, lead: Leadership) -> None:
    """Start with fresh leases: while nobody watched or the broker was away, no heartbeat could be counted."""
    channel = await connection.channel()
    await _grant_fresh_leases(process, lead)
    tidy = Tidy(process)
    while not process.stopping.is_set():
        queue = await channel.declare_queue(topology.HEARTBEATS.name, passive=True)
        with contextlib.suppress(Unavailable):
            await _judge_nodes(lead, queue.declaration_result.message_count or 0)
        await tidy.run()
        await pause(process.stopping, WATCH_SECONDS)


async def _judge_nodes(lead: Leadership, unread_heartbeats: int) -> None:
    async with lead.begin() as tx:
        down = liveness.judge(await nodes.expired(tx), unread_heartbeats)
        if down:
            log.warning("nodes down", nodes=[node.hostname for node in down])
            await nodes.mark_down(tx, {node.id for node in down})


async def _grant_fresh_leases(process: Process, lead: Leadership) -> None:
    while not process.stopping.is_set():
        try:
            async with lead.begin() as tx:
                await nodes.renew_all(tx, process.settings.lease_seconds)
            return
        except Unavailable as error:
            log.warning("waiting", reason=str(error))
            await asyncio.sleep(1)
