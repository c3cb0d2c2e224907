"""Parts of the control plane of a lab are killed, and a create that is asked at that moment is timed."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from yarl import URL

from benchmarks.probe import Probe
from pathfinder.broker import topology
from pathfinder.embedded.amqp_login import lets_in
from pathfinder.embedded.control_plane import ControlPlane
from pathfinder.embedded.lab import Lab
from pathfinder.embedded.rabbitmq import node_name
from pathfinder.embedded.supervisor import wait_until

READY_SECONDS = 60.0
#: The session of the controller that leads is named after its process.
LEADER = """
    SELECT a.application_name FROM pg_stat_activity AS a JOIN pg_locks AS l USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND a.application_name LIKE 'pathfinder controller leader %'
"""
Samples = list[float]


class Drill:
    """One lab that is hurt again and again. `undisturbed` are the seconds of creates that nothing disturbed."""

    def __init__(self, lab: Lab, probe: Probe) -> None:
        self._lab = lab
        self._probe = probe
        self.undisturbed: Samples = []
        #: From the death of the controller that led until another leads.
        self.takeovers: Samples = []

    async def role(self, role: str, rounds: int, *, sibling: bool) -> Samples:
        """The seconds from `kill -9` of a role until the next create is PROVISIONED, less what one takes undisturbed.

        With a sibling each of the two is killed in turn; without one, supervisord starts the only one again.
        """
        if not sibling:
            await asyncio.to_thread(self._lab.stop_role, node_name(role, 2))
        found = []
        try:
            for turn in range(rounds):
                await self._calm()
                program = await self._victim(role, turn) if sibling else role
                found.append(await self._one(role, program))
        finally:
            if not sibling:
                with self._comes_back(role, node_name(role, 2)):
                    await asyncio.to_thread(self._lab.start_role, node_name(role, 2))
        return found

    async def broker_leader(self, rounds: int) -> Samples:
        """The same for `kill -9` of the RabbitMQ node that leads the recorder's queue."""
        found = []
        for _ in range(rounds):
            await self._calm()
            leader = await asyncio.to_thread(self._lab.queue_leader, topology.RECORDER.name)
            begin = time.time()
            await asyncio.to_thread(self._lab.kill_broker, leader)
            found.append((await self._probe.create()).provisioned - begin - self._usual)
            # Two at once are a majority, and the majority is not what is measured.
            await asyncio.to_thread(wait_until, "RabbitMQ", self._brokers_are_ready, READY_SECONDS)
        return found

    async def promotion(self) -> tuple[float, float]:
        """From the promotion of the standby until a create that waits is PROVISIONED, less what one takes undisturbed;
        and how long the promotion itself took. Once in a lab's life.
        """
        await self._calm()
        await asyncio.to_thread(self._lab.kill_primary)
        waiting = asyncio.create_task(self._probe.create())
        await asyncio.sleep(1)  # it has found nobody by now
        begin = time.time()
        await asyncio.to_thread(self._lab.promote_standby)
        promoted = time.time()
        return (await waiting).provisioned - begin - self._usual, promoted - begin

    @property
    def _usual(self) -> float:
        return median(self.undisturbed[-9:])

    async def _calm(self) -> None:
        """Creates that nothing disturbs: one more to compare with, and a sign that all works again."""
        for _ in range(3 if not self.undisturbed else 1):
            self.undisturbed.append((await self._probe.create()).seconds)

    async def _one(self, role: str, program: str) -> float:
        with self._comes_back(role, program):
            leader = await self._probe.store.rows(LEADER) if role == "controller" else []
            begin = time.time()
            await asyncio.to_thread(self._lab.kill_role, program)
            if leader:
                looking = asyncio.create_task(self._another_leads(leader[0][0], begin))
            # The client was just talking to the very API that died.
            done = await self._probe.create(1 if program == node_name("api", 2) else 0)
            if leader:
                self.takeovers.append(await looking)
        return done.provisioned - begin - self._usual

    async def _victim(self, role: str, turn: int) -> str:
        """Each of the two in turn; of the controllers the one that leads."""
        if role != "controller":
            return node_name(role, 1 + turn % 2)
        leader = (await self._probe.store.until("a leader", LEADER))[0][0]
        for number in (1, 2):
            if leader.endswith(f" {await asyncio.to_thread(self._lab.supervisor.pid, node_name(role, number))}"):
                return node_name(role, number)
        raise AssertionError(f"no controller is {leader}")

    async def _another_leads(self, leader: str, begin: float) -> float:
        await self._probe.store.until("another leader", LEADER, enough=lambda rows: bool(rows) and rows[0][0] != leader)
        return time.time() - begin

    def _brokers_are_ready(self) -> bool:
        urls = map(URL, self._lab.broker_url.split(","))
        return all(lets_in(str(url.host), url.port or 5672, str(url.user), str(url.password)) for url in urls)

    @contextmanager
    def _comes_back(self, role: str, program: str) -> Iterator[None]:
        """When the context ends, wait until what was killed or started in it works."""
        log = self._lab.home.logs / f"{program}.log"
        size = log.stat().st_size
        yield
        ready: Callable[[], bool]
        if role == "api":
            url = self._lab.api_urls[0 if program == "api" else 1]
            ready = ControlPlane(url, self._lab.token).is_ready
        else:

            def ready() -> bool:
                with log.open("rb") as file:
                    file.seek(size)
                    return b"broker connected" in file.read()

        wait_until(f"{program} to be back", ready, READY_SECONDS)
