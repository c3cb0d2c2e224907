"""Simulated nodes with their agents and the roles that work for them, in this process, on real services.

Sweeps are an hour apart, so whatever happens was woken for.
"""

import asyncio
from functools import partial
from pathlib import Path

from aio_pika.abc import AbstractConnection
from workbench import Fleet, MakeProcess, eventually, heard, member

from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.consume import consume_each
from pathfinder.broker.publish import Publisher
from pathfinder.domain.instances import InstanceOrder
from pathfinder.runtime.port import OperationFailed, Progress
from pathfinder.runtime.simulated import Pace, SimulatedRuntime
from pathfinder.store import requests
from pathfinder.store.requests import Asker
from workers.agent.reporting import Reporter
from workers.agent.worklist import Worklist
from workers.runner import Role

ASKER = Asker("test", "trace")
NODES = ("node-0", "node-1", "node-2")
SECONDS = 60


class Machine(SimulatedRuntime):
    """A simulated machine whose disk can be full."""

    full = False

    async def create(self, order: InstanceOrder, progress: Progress) -> None:
        """Make it, unless the disk is full."""
        if self.full:
            raise OperationFailed("no space left on device")
        await super().create(order, progress)


class Site:
    """Nodes with agents, and the roles that work for them, each as a process of its own would."""

    def __init__(self, fleet: Fleet, make_process: MakeProcess, broker_url: str, directory: Path) -> None:
        self.fleet = fleet
        self._directory = directory
        self._make = make_process
        self._broker_url = broker_url
        self._running: list[tuple[Role, Process, asyncio.Task[None]]] = []

    async def start(self, *roles: Role) -> None:
        """Run roles until `stop`."""
        for role in roles:
            process = self._make(broker_url=self._broker_url, sweep_seconds=3600)
            self._running.append((role, process, asyncio.ensure_future(role(process))))

    async def stop(self, *roles: Role) -> None:
        """Stop every process of these roles, or all."""
        for running in list(self._running):
            role, process, task = running
            if not roles or role in roles:
                process.stopping.set()
                async with asyncio.timeout(30):
                    await task
                self._running.remove(running)

    async def node(self, hostname: str, *, full: bool = False) -> Machine:
        """A node with its agent at work."""
        machine = Machine(hostname, pace=Pace(0.001, 0.001, 0.001, 0.001))
        machine.full = full
        node_id = await self.fleet.node(hostname, labels={"name": hostname})
        membership = member(node_id, hostname, self.fleet.cluster_id)
        directory = self._directory / hostname
        directory.mkdir()

        async def agent(process: Process) -> None:
            worklist = Worklist(machine, membership, heard(directory), process.settings)

            async def serve(connection: AbstractConnection) -> None:
                reporter = worklist.checking.reporter = Reporter(await Publisher.open(connection), membership)
                handler = partial(worklist.handle, reporter, asyncio.Event().wait)
                await consume_each(connection, topology.node_queue(hostname), handler, process.stopping, prefetch=8)

            try:
                await process.broker("agent").run(serve, process.stopping)
            finally:
                worklist.checking.close()

        await self.start(agent)
        return machine

    async def reaches(self, hostname: str, status: str) -> None:
        """Wait until the container has the status."""

        async def has() -> bool:
            return (await self.fleet.statuses())[hostname] == status

        await eventually(has, SECONDS)

    async def happens(self, kind: str, times: int = 1) -> None:
        """Wait until there are so many events of a kind."""

        async def told() -> bool:
            return (await self.fleet.kinds()).count(kind) >= times

        await eventually(told, SECONDS)

    async def passes(self, query: str) -> None:
        """Wait until a query answers true."""

        async def true() -> bool:
            return await self.fleet.rows(query) == [(True,)]

        await eventually(true, SECONDS)

    async def attempts(self, hostname: str) -> list[tuple[object, ...]]:
        """The failed attempts of a container: generation, node and fault."""
        return await self.fleet.rows(
            "SELECT a.generation, a.node, a.fault FROM attempts AS a JOIN containers AS c ON c.id = a.container_id "
            "WHERE c.hostname = :hostname ORDER BY a.generation",
            hostname=hostname,
        )

    async def placed_on(self, hostname: str) -> str:
        """The node of a container."""
        ((node,),) = await self.fleet.rows(
            "SELECT n.hostname FROM containers AS c JOIN nodes AS n ON n.id = c.node_id WHERE c.hostname = :hostname",
            hostname=hostname,
        )
        return str(node)

    async def reschedule(self, hostname: str) -> None:
        """A user asks for another placement."""
        async with self.fleet.process.database.begin() as tx:
            await requests.reschedule(tx, self.fleet.cluster_id, hostname, ASKER)
