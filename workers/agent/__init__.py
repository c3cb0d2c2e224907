"""agent: runs on each node, consumes its queue, drives the runtime and reports.

Agents never talk to PostgreSQL: they need one connection to RabbitMQ and one to the API, both outbound. A broken broker
never stops a container.
"""

import asyncio
from functools import partial

import structlog
from aio_pika.abc import AbstractConnection

from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.consume import consume_each
from pathfinder.broker.publish import Publisher
from pathfinder.runtime.measured import measured
from pathfinder.runtime.select import open_runtime
from workers.agent.admission import Admission, admit
from workers.agent.pulse import heartbeats, inventories
from workers.agent.reporting import Reporter
from workers.agent.worklist import Worklist

log = structlog.get_logger()


async def run(process: Process) -> None:
    """Join the cluster, then work until told to stop."""
    settings = process.settings
    runtime = measured(await open_runtime(settings.runtime, settings.lxd_socket, settings.state_dir))
    try:
        admission = await admit(settings, runtime, process.stopping)
        if admission is None:
            return  # told to stop before the API answered
        worklist = Worklist(runtime, admission.cluster_id, settings)
        await process.broker("agent").run(partial(_serve, process, admission, worklist), process.stopping)
    finally:
        await runtime.close()


async def _serve(process: Process, admission: Admission, worklist: Worklist, connection: AbstractConnection) -> None:
    reporter = Reporter(await Publisher.open(connection), admission)
    queue = topology.node_queue(admission.hostname)
    async with asyncio.TaskGroup() as all_of_it:
        beating = all_of_it.create_task(heartbeats(reporter, worklist.runtime, admission.heartbeat_seconds))
        listing = all_of_it.create_task(inventories(reporter, worklist, process.settings.inventory_seconds))
        await consume_each(
            connection, queue, partial(worklist.handle, reporter), process.stopping, prefetch=worklist.parallel * 4
        )
        beating.cancel()
        listing.cancel()
