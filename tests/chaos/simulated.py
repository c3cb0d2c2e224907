"""The run on the simulated stage: 200 machines, two processes of each role, a client, and every fault of the plan."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import aio_pika
import asyncpg

from chaos import faults, gather, ledger, machine
from chaos.conduct import Settings
from chaos.customer import Customer
from chaos.evidence import Evidence
from chaos.faults import Fault
from chaos.ledger import Ledger
from chaos.meddler import Meddler
from chaos.owner import Estate, Owner
from chaos.stage import ROLES, Stage

#: The leader's session names its process.
_LEADER = """
    SELECT application_name FROM pg_stat_activity JOIN pg_locks USING (pid)
    WHERE locktype = 'advisory' AND granted AND application_name LIKE 'pathfinder controller leader %' LIMIT 1
"""
#: Living containers for each node that a run aims at, at most.
DENSITY = 4
ESTATE = Estate(8, 4, 12, images=(None, "local:tiny", "local:other"))


class Simulated:
    """The simulated fleet, as the conductor sees it."""

    name = "simulated"
    estate = ESTATE

    def __init__(self, stage: Stage, record: Path) -> None:
        self.stage = stage
        self._record = record

    async def all_ready(self) -> bool:
        """Whether every node is READY."""
        connection = await asyncpg.connect(self.stage.database_url.replace("+asyncpg", ""), timeout=5)
        try:
            ready = await connection.fetchval("SELECT count(*) FROM nodes WHERE status = 'READY'")
        finally:
            await connection.close()
        return int(ready) >= len(self.stage.nodes)

    def plan(self, settings: Settings) -> list[Fault]:
        """What will be broken when."""
        stage = self.stage
        return faults.plan(settings.seed, settings.seconds, stage.nodes, ROLES, stage.hosts, pause=settings.pause)

    def customer(self, settings: Settings, book: Ledger) -> Customer:
        """The client."""
        most = DENSITY * len(self.stage.nodes)
        return Customer(self.stage.apis, self.stage.token, book, settings.seed, most=most, rate=settings.rate)

    def owner(self, settings: Settings, book: Ledger) -> Owner:
        """Who owns the deployments."""
        return Owner(self.stage.apis, self.stage.token, book, settings.seed, self.estate)

    def meddler(self, settings: Settings) -> Meddler:
        """What doubles, delays and reorders."""
        return Meddler(self.stage.broker_url, self.stage.nodes, settings.seed)

    async def inject(self, fault: Fault) -> None:
        """Break what the fault says; return when it is mended again."""
        await _HOW[fault.kind](self, fault)

    async def mend_all(self) -> None:
        """No fault is left, and everything that should run does."""
        stage = self.stage
        for kind in ("cut", "dead", "sick"):
            for path in (stage.root / "faults" / kind).iterdir():
                path.unlink(missing_ok=True)
        for program in (*ROLES, *stage.hosts):
            await asyncio.to_thread(stage.thaw, program)
            await asyncio.to_thread(stage.supervisor.start, program)

    async def watch(self) -> None:
        """Nothing to do: these machines keep a chronicle."""

    async def evidence(self) -> Evidence:
        """Everything as it is now, and the ledger."""
        root = self.stage.root
        found = await gather.tables(self.stage.database_url)
        instances, history = [], []
        for number, node in enumerate(self.stage.nodes, start=1):
            directory = self.stage.plan.directory(root, number)
            instances += machine.read_instances(node, directory)
            history += machine.read_chronicle(node, directory)
        return replace(
            found,
            queues=await gather.queues(self.stage.broker_url, self.stage.nodes),
            instances=instances,
            history=history,
            requests=ledger.read(self._record / "ledger.jsonl"),
            demands=ledger.demands(self._record / "ledger.jsonl"),
        )

    # How each kind of fault is done

    async def _kill(self, fault: Fault) -> None:
        await asyncio.to_thread(self.stage.kill, fault.targets[0])

    async def _kill_leader(self, fault: Fault) -> None:
        await asyncio.to_thread(self.stage.kill, await self._leader())

    async def _leader(self) -> str:
        """The controller that leads; the first of them where nobody knows."""
        numbers = [name for name in ROLES if name.startswith("controller")]
        try:
            connection = await asyncpg.connect(self.stage.database_url.replace("+asyncpg", ""), timeout=2)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return numbers[0]
        try:
            name = await connection.fetchval(_LEADER)
        finally:
            await connection.close()
        pids = {str(await asyncio.to_thread(self.stage.supervisor.pid, one)): one for one in numbers}
        return pids.get(str(name).rpartition(" ")[2], numbers[0])

    async def _freeze(self, fault: Fault) -> None:
        await asyncio.to_thread(self.stage.freeze, fault.targets[0])
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            await asyncio.to_thread(self.stage.thaw, fault.targets[0])

    async def _cut(self, fault: Fault) -> None:
        await self._while("cut", fault)

    async def _make_sick(self, fault: Fault) -> None:
        await self._while("sick", fault)

    async def _power_off(self, fault: Fault) -> None:
        for name in fault.targets:
            self.stage.set_fault("cut", name)
        try:
            await self._while("dead", fault)
        finally:
            for name in fault.targets:
                self.stage.end_fault("cut", name)

    async def _while(self, kind: str, fault: Fault) -> None:
        for name in fault.targets:
            self.stage.set_fault(kind, name)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            for name in fault.targets:
                self.stage.end_fault(kind, name)

    async def _tear(self, fault: Fault) -> None:
        for name in fault.targets:
            self.stage.set_fault("torn", name)

    async def _lose(self, fault: Fault) -> None:
        """Messages that wait in a queue are gone."""
        async with await aio_pika.connect(self.stage.broker_url, timeout=5) as connection:
            queue = await (await connection.channel()).get_queue(fault.targets[0])
            await queue.purge()

    async def _crash(self, fault: Fault) -> None:
        await asyncio.to_thread(self.stage.crash, fault.targets[0], immediate=fault.kind.startswith("stop"))


_HOW: dict[str, Callable[[Simulated, Fault], Awaitable[None]]] = {
    "kill role": Simulated._kill,
    "kill leader": Simulated._kill_leader,
    "kill agents": Simulated._kill,
    "freeze role": Simulated._freeze,
    "freeze agents": Simulated._freeze,
    "cut role": Simulated._cut,
    "tear role": Simulated._tear,
    "cut database": Simulated._cut,
    "tear database": Simulated._tear,
    "delay nodes": Simulated._cut,
    "tear nodes": Simulated._tear,
    "make nodes sick": Simulated._make_sick,
    "partition nodes": Simulated._cut,
    "power nodes off": Simulated._power_off,
    "lose messages": Simulated._lose,
    "crash postgres": Simulated._crash,
    "stop postgres": Simulated._crash,
    "crash rabbitmq": Simulated._crash,
}
