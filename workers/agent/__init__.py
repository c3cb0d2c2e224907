"""agent: runs on each node, consumes its queue, drives the runtime and reports.

Agents never talk to PostgreSQL: they need one connection to RabbitMQ and one to the API, both outbound. A broken broker
never stops a container; a node that is cut off from all of the control plane stops those that will be replaced.
"""

import asyncio
import itertools
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
from aio_pika.abc import AbstractConnection

from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.connection import as_lost, backoff, pause
from pathfinder.broker.consume import consume_each
from pathfinder.broker.publish import Publisher
from pathfinder.runtime.measured import measured
from pathfinder.runtime.port import Runtime
from pathfinder.runtime.select import open_runtime
from pathfinder.settings import Settings
from workers.agent import credential, endings, warden
from workers.agent.admission import Membership
from workers.agent.lease import Lease
from workers.agent.listing import Lister
from workers.agent.pulse import Pulse
from workers.agent.reporting import Reporter
from workers.agent.worklist import Worklist

log = structlog.get_logger()

#: So often an agent looks for its node's queue, in about ten seconds, until it asks for it again.
LOOKS = 7


async def run(process: Process) -> None:
    """Join the cluster, then work until told to stop."""
    settings = process.settings
    runtime = measured(await open_runtime(settings.runtime, settings.lxd_socket, settings.state_dir))
    try:
        await serve(process, runtime)
    finally:
        await runtime.close()


async def serve(process: Process, runtime: Runtime) -> None:
    """Be the agent of the node that `runtime` drives, until told to stop."""
    settings = process.settings
    membership = Membership(settings, runtime)
    lease = _lease(settings)
    # None of these ends unnoticed: an agent that beats no more would work on while its node is given up.
    async with asyncio.TaskGroup() as group:
        # Before joining, which a node that is cut off cannot: its lease runs out all the same.
        guarding = group.create_task(_lasting(warden.guard(runtime, lambda: lease.right, process.stopping)))
        if await membership.join(process.stopping):
            process.node_login = membership.login
            await _work(process, runtime, membership, lease)
        guarding.cancel()


def _lease(settings: Settings) -> Lease:
    """The node's lease; one that an earlier agent kept elsewhere goes, for a warden that reads it would believe it."""
    path = warden.lease_path(settings)
    if settings.lease_dir is not None:
        with suppress(OSError):
            (settings.state_dir / path.name).unlink(missing_ok=True)
    return Lease(path)


async def _work(process: Process, runtime: Runtime, membership: Membership, lease: Lease) -> None:
    settings = process.settings
    pulse = Pulse(settings, membership, runtime, lease)
    worklist = Worklist(runtime, membership, lease, settings, pulse.sampler.watch)
    lister = Lister(worklist, membership, settings.inventory_seconds)
    agent = _Agent(process, membership, pulse, worklist, lister)
    async with asyncio.TaskGroup() as group:
        beating = group.create_task(_lasting(pulse.run()))
        sampling = group.create_task(pulse.sampler.run())
        hearing = group.create_task(endings.hear(runtime, worklist.checking.look, process.stopping))
        renewing = group.create_task(
            _lasting(credential.keep_young(membership, settings.credential_hours, process.stopping))
        )
        await process.broker("agent").run(agent.serve, process.stopping)
        worklist.bootstraps.close()
        worklist.checking.close()
        beating.cancel()
        sampling.cancel()
        hearing.cancel()
        renewing.cancel()


async def _lasting(work: Coroutine[Any, Any, None]) -> None:
    with as_lost():
        await work


class _Agent:
    """The parts of an agent, wired to one connection after the other."""

    def __init__(
        self, process: Process, membership: Membership, pulse: Pulse, worklist: Worklist, lister: Lister
    ) -> None:
        self._process = process
        self._membership = membership
        self._pulse = pulse
        self._worklist = worklist
        self._lister = lister

    async def serve(self, connection: AbstractConnection) -> None:
        """Beat first: no command is carried out before this node is known to be heard."""
        reporter = Reporter(await Publisher.open(connection), self._membership)
        queue = topology.node_queue(self._membership.now.hostname)
        self._pulse.reporter = self._pulse.sampler.reporter = reporter
        try:
            await self._pulse.beat()
            await self._worklist.bootstraps.connected(reporter)
            self._worklist.checking.reporter = reporter
            async with asyncio.TaskGroup() as both:
                listing = both.create_task(self._lister.run(reporter))
                handle = partial(self._worklist.handle, reporter, self._rejoin)
                await self._await_queue(connection, queue)
                await consume_each(
                    connection, queue, handle, self._process.stopping, prefetch=self._worklist.parallel * 4
                )
                listing.cancel()
        finally:
            self._pulse.reporter = self._pulse.sampler.reporter = None
            self._worklist.bootstraps.reporter = self._worklist.checking.reporter = None

    async def _await_queue(self, connection: AbstractConnection, queue: topology.Queue) -> None:
        """Wait until a relay has declared the queue, which it does whenever the node registers.

        Where it does not come it was lost, with all of RabbitMQ or by somebody's hand: registering again brings it.
        """
        with as_lost():
            for attempt in itertools.count(1):
                if self._process.stopping.is_set() or await topology.is_there(connection, queue):
                    return
                if attempt % LOOKS == 0:
                    log.warning("registering again: nobody declared this node's queue", queue=queue.name)
                    await self._membership.rejoin()
                await pause(self._process.stopping, backoff(attempt))

    async def _rejoin(self) -> None:
        """Register anew and send the full list: the control plane gave this node up, or has news for it."""
        if await self._membership.join(self._process.stopping):
            self._pulse.beat_soon()
            self._lister.soon()
