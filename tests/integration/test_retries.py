"""Provisions that fail, on real PostgreSQL and RabbitMQ with simulated nodes: tried again elsewhere, or not at all.

Sweeps are an hour apart here, so whatever happens was woken for.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from aio_pika.abc import AbstractChannel, AbstractConnection
from sqlalchemy import text
from workbench import Fleet, MakeProcess, eventually, heard, member

import workers.recorder
import workers.relay
import workers.scheduler
from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.consume import consume_each
from pathfinder.broker.publish import Publisher
from pathfinder.domain.errors import IllegalTransition
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
SECONDS = 20


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

    def __init__(self, fleet: Fleet, make_process: MakeProcess, broker_url: str) -> None:
        self.fleet = fleet
        self._make = make_process
        self._broker_url = broker_url
        self._running: list[tuple[Process, asyncio.Task[None]]] = []

    async def start(self, *roles: Role) -> Process:
        """Run roles until `stop`; the last one's process."""
        for role in roles:
            process = self._make(broker_url=self._broker_url, sweep_seconds=3600)
            self._running.append((process, asyncio.ensure_future(role(process))))
        return process

    async def stop(self, *processes: Process) -> None:
        """Stop these, or all."""
        for process, task in list(self._running):
            if not processes or process in processes:
                process.stopping.set()
                async with asyncio.timeout(10):
                    await task
                self._running.remove((process, task))

    async def node(self, hostname: str, *, full: bool = False) -> Machine:
        """A node with its agent at work."""
        machine = Machine(hostname, pace=Pace(0.001, 0.001, 0.001, 0.001))
        machine.full = full
        membership = member(await self.fleet.node(hostname), hostname, self.fleet.cluster_id)
        directory = Path(tempfile.mkdtemp())

        async def agent(process: Process) -> None:
            worklist = Worklist(machine, membership, heard(directory), process.settings)

            async def serve(connection: AbstractConnection) -> None:
                reporter = Reporter(await Publisher.open(connection), membership)
                handler = partial(worklist.handle, reporter, asyncio.Event().wait)
                await consume_each(connection, topology.node_queue(hostname), handler, process.stopping, prefetch=8)

            await process.broker("agent").run(serve, process.stopping)

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


@pytest.fixture
async def site(
    fleet: Fleet, make_process: MakeProcess, broker_url: str, channel: AbstractChannel
) -> AsyncIterator[Site]:
    """A relay and a recorder at work; afterwards the books balance."""
    made = Site(fleet, make_process, broker_url)
    await made.start(workers.relay.run, workers.recorder.run)
    yield made
    await made.stop()
    await fleet.assert_claims_add_up()
    for node in NODES:
        await channel.queue_delete(topology.node_queue(node).name)


async def test_what_a_full_node_cannot_make_runs_on_another(site: Site) -> None:
    """Although the full one, being empty of containers, is the best node of all."""
    await site.start(workers.scheduler.run, workers.scheduler.run)
    await site.node("node-1")
    await site.fleet.ask("resident")
    await site.reaches("resident", "PROVISIONED")
    await site.node("node-0", full=True)

    await site.fleet.ask("web", cpu=1)

    await site.reaches("web", "PROVISIONED")
    assert await site.placed_on("web") == "node-1"
    assert await site.attempts("web") == [(1, "node-0", "node")]
    assert await site.fleet.rows("SELECT generation, attempts, retry_at FROM containers WHERE hostname = 'web'") == [
        (2, 0, None)
    ]
    ((body, node),) = await site.fleet.rows("SELECT body, node FROM events WHERE kind = 'container.provision_failed'")
    assert isinstance(body, dict)
    assert (node, body["attempt"], body["fault"], body["reason"]) == ("node-0", 1, "node", "no space left on device")
    assert body["retry_at"]
    ((explanation,),) = await site.fleet.rows("SELECT explanation FROM containers WHERE hostname = 'web'")
    assert isinstance(explanation, dict)
    assert [(one["filter"], one["nodes"]) for one in explanation["rejections"]] == [("avoid", 1)]


async def test_a_node_whose_daemon_is_down_is_left_for_another(site: Site) -> None:
    """Its agent can still say so."""
    await site.start(workers.scheduler.run)
    (await site.node("node-0")).unreachable = True
    await site.fleet.ask("web")
    await site.happens("container.provision_failed")
    await site.node("node-1")

    await site.reaches("web", "PROVISIONED")

    assert await site.placed_on("web") == "node-1"


async def test_what_the_request_got_wrong_is_not_tried_again(site: Site) -> None:
    """An image that is nowhere is on no other node either."""
    await site.start(workers.scheduler.run)
    await site.node("node-0")
    await site.node("node-1")

    await site.fleet.ask("web", image="local:missing")

    await site.reaches("web", "PROVISION_ERROR")
    assert [(generation, fault) for generation, _, fault in await site.attempts("web")] == [(1, "request")]
    assert await site.fleet.rows("SELECT retry_at FROM containers") == [(None,)]


async def test_the_limit_ends_the_tries_and_a_reschedule_starts_anew(site: Site) -> None:
    """Each node was tried once, and then the one that failed first again."""
    await site.start(workers.scheduler.run)
    machines = [await site.node("node-0", full=True), await site.node("node-1", full=True)]

    await site.fleet.ask("web", max_attempts=3)
    await site.reaches("web", "PROVISION_ERROR")

    nodes = [node for _, node, _ in await site.attempts("web")]
    assert len(nodes) == 3
    assert nodes[0] != nodes[1]
    assert nodes[2] == nodes[0]
    await site.fleet.assert_claims_add_up()

    for machine in machines:
        machine.full = False
    await site.reschedule("web")
    await site.reaches("web", "PROVISIONED")
    assert await site.fleet.rows("SELECT generation, attempts FROM containers") == [(4, 0)]


async def test_a_scheduler_that_starts_finds_what_is_due(site: Site) -> None:
    """The one that knew of it is gone."""
    first = await site.start(workers.scheduler.run)
    machine = await site.node("node-0", full=True)
    await site.fleet.ask("web")
    await site.happens("container.provision_failed")
    await site.stop(first)
    machine.full = False

    await site.start(workers.scheduler.run)

    await site.reaches("web", "PROVISIONED")


async def test_a_retry_that_is_far_away_can_be_had_at_once(site: Site) -> None:
    """`pfi reschedule`, for those who know that the node is well again; a container that waits for none is refused."""
    await site.start(workers.scheduler.run)
    machine = await site.node("node-0", full=True)
    await site.fleet.ask("web", max_attempts=100)
    await site.happens("container.provision_failed")
    async with site.fleet.process.database.begin() as tx:
        await tx.execute(text("UPDATE containers SET retry_at = now() + interval '1 h', status = 'PENDING'"))
    machine.full = False

    await site.reschedule("web")

    await site.reaches("web", "PROVISIONED")
    await site.stop()
    (id_,) = await site.fleet.ask("fresh")
    assert isinstance(id_, UUID)
    with pytest.raises(IllegalTransition):
        await site.reschedule("fresh")
