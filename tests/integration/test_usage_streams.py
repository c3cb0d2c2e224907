"""What containers and nodes use, from a node's agent over RabbitMQ to whoever looks through the API."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx2
import pytest
from aio_pika.abc import AbstractChannel, AbstractConnection
from workbench import Fleet, MakeProcess, heard, member

from api.app import create_app
from api.routes import usage
from api.tail import Tail
from api.watching import Subject, Watching
from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.consume import consume_each
from pathfinder.broker.publish import Publisher
from pathfinder.domain.instances import ContainerUsage, NodeUsage
from pathfinder.runtime.simulated import SimulatedRuntime
from pathfinder.store import tokens
from workers.agent import lease
from workers.agent.reporting import Reporter
from workers.agent.sampling import Sampler
from workers.agent.worklist import Worklist

NODE = "node-w"
MIB = 1 << 20
LOOK_SECONDS = 15.0


class Machine(SimulatedRuntime):
    """It has one container, `id`, which uses half a core all the time; its clock goes as the test says."""

    id = ""
    ahead = 0.0

    def now(self) -> float:
        """In seconds that only grow."""
        return time.monotonic() + self.ahead

    async def usages(self, cluster_id: str) -> dict[str, ContainerUsage]:
        """What it uses."""
        return {self.id: ContainerUsage(self.now() / 2, 64 * MIB, int(self.now() * 1000), 0, 5 * MIB)}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine by whose clock the agent goes."""
    made = Machine(NODE)
    monkeypatch.setattr(lease, "now", made.now)
    return made


@pytest.fixture
async def sampler(
    fleet: Fleet, make_process: MakeProcess, broker_url: str, channel: AbstractChannel, tmp_path: Path, machine: Machine
) -> AsyncIterator[Sampler]:
    """The agent of a node with the container web-01, at work, after two looks."""
    node_id, (container_id,) = await fleet.node(NODE), await fleet.ask("web-01")
    await fleet.rows(
        "UPDATE containers SET node_id = :node, status = 'PROVISIONED' WHERE id = :id RETURNING id",
        node=node_id,
        id=container_id,
    )
    await topology.declare(channel, replace(topology.node_queue(NODE), foreign=False))  # as the relay does
    machine.id, membership = str(container_id), member(node_id, NODE, fleet.cluster_id)
    process = make_process(broker_url=broker_url)
    made = Sampler(machine, membership, LOOK_SECONDS)
    made.machine = NodeUsage(1, 1, 1, 512 * MIB, 900 * MIB)
    worklist = Worklist(machine, membership, heard(tmp_path), process.settings, made.watch)

    async def serve(connection: AbstractConnection) -> None:
        made.reporter = reporter = Reporter(await Publisher.open(connection), membership)
        handler = partial(worklist.handle, reporter, asyncio.Event().wait)
        await consume_each(connection, topology.node_queue(NODE), handler, process.stopping, prefetch=8)

    await made.look()
    machine.ahead += LOOK_SECONDS
    await made.look()
    working = [asyncio.ensure_future(process.broker("agent").run(serve, process.stopping))]
    working.append(asyncio.ensure_future(made.run()))
    yield made
    process.stopping.set()
    working[1].cancel()
    await asyncio.gather(*working, return_exceptions=True)
    await channel.queue_delete(topology.node_queue(NODE).name)


@pytest.fixture
async def watching(make_process: MakeProcess, broker_url: str) -> AsyncIterator[Watching]:
    """What an api process knows of what is looked at, at work."""
    process = make_process(broker_url=broker_url)
    made = Watching(process)
    serving = asyncio.ensure_future(process.broker("api").run(made.serve, process.stopping))
    yield made
    process.stopping.set()
    await serving


@pytest.fixture
async def looker(process: Process, watching: Watching) -> AsyncIterator[httpx2.AsyncClient]:
    """A viewer's client of that api."""
    async with process.database.begin() as tx:
        secret = await tokens.create(tx, "looker", "viewer")
    transport = httpx2.ASGITransport(create_app(process, Tail(process), watching=watching))
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://pf/api/v3", headers=headers) as client:
        yield client


@pytest.mark.usefixtures("sampler")
async def test_who_looks_gets_the_past_from_the_node(looker: httpx2.AsyncClient) -> None:
    """The agent remembers its looks; of the node, cores and traffic are its containers', the rest is the machine's."""
    container = (await looker.get("/containers/web-01/usage")).json()
    node = (await looker.get(f"/nodes/{NODE}/usage")).json()
    later = (await looker.get("/containers/web-01/usage", params={"since": "5s"})).json()

    assert container["cpu_cores"][:2] == [None, pytest.approx(0.5, abs=0.01)]
    assert container["received_bytes"][1] == pytest.approx(1000, rel=0.01)
    assert container["memory_bytes"][:2] == [64 * MIB] * 2
    assert container["disk_bytes"][:2] == [5 * MIB] * 2
    assert container["message"] is None
    assert node["cpu_cores"][1] == pytest.approx(0.5, abs=0.01)
    assert (node["memory_bytes"][1], node["disk_bytes"][1]) == (512 * MIB, 900 * MIB)
    assert container["at"][0] not in later["at"]


async def test_while_somebody_looks_the_node_tells_more_and_all_readers_share_it(
    fleet: Fleet, sampler: Sampler, watching: Watching, machine: Machine
) -> None:
    """Points come without a regular look; a second reader is given what is known already; the last one ends it all."""
    ((node_id,),) = await fleet.rows("SELECT id FROM nodes")
    subject = Subject(machine.id, str(node_id), NODE, str(fleet.cluster_id))

    async with asyncio.timeout(30), watching.watch(subject) as series:
        await series.told.wait()
        past = series.after(0)
        fresh = await series.more(past[-1].at)
        async with watching.watch(subject) as same:
            assert same is series
            assert same.after(0)[: len(past)] == past
        fresh = await series.more(fresh[-1].at)
        assert fresh[-1].memory_bytes == 64 * MIB

    async with watching.watch(subject) as another:
        assert another is not series


async def test_a_node_that_does_not_answer_is_waited_for_so_long_and_no_longer(
    fleet: Fleet, looker: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer says so in words; where nothing can be known nobody is asked."""
    monkeypatch.setattr(usage, "ANSWER_SECONDS", 0.05)
    await fleet.node(NODE)
    await fleet.ask("web-01")

    mute = (await looker.get(f"/nodes/{NODE}/usage")).json()
    nowhere = (await looker.get("/containers/web-01/usage")).json()
    await fleet.rows("UPDATE nodes SET status = 'DOWN' RETURNING id")
    down = (await looker.get(f"/nodes/{NODE}/usage")).json()

    assert (mute["at"], mute["message"]) == ([], f"{NODE} does not tell now.")
    assert nowhere["message"] == "It is on no node."
    assert down["message"] == f"{NODE} is DOWN."
    assert (await looker.get("/nodes/nobody/usage")).status_code == 404
    assert (await looker.get(f"/nodes/{NODE}/usage", params={"since": "soon"})).status_code == 422
