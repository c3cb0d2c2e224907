"""The run on the real lab: three LXD nodes in namespaces, each role once, and every fault of the plan."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg

from chaos import faults, gather, ledger
from chaos.conduct import NOT_YET, Settings
from chaos.customer import Customer
from chaos.evidence import Change, Evidence, Instance
from chaos.faults import Fault, Kinds
from chaos.ledger import Ledger
from chaos.meddler import Meddler
from chaos.owner import Estate, Owner
from pathfinder.embedded.lab import Lab
from pathfinder.embedded.lxd_client import connect
from pathfinder.embedded.roles import CONTROL_PLANE
from pathfinder.runtime.lxd_order import MARK_CLUSTER, MARK_CONTAINER, MARK_DIGEST, MARK_GENERATION

#: What takes a minute in production takes seconds here; heartbeat and lease are as they come.
SETTINGS = {
    "PATHFINDER_INVENTORY_SECONDS": "5",
    "PATHFINDER_GRACE_SECONDS": "4",
    "PATHFINDER_SWEEP_SECONDS": "5",
    "PATHFINDER_ADDRESS_TIMEOUT_SECONDS": "30",
}
#: What a lab can be done to. There is one of each role, so each death is felt.
KINDS: Kinds = {
    "kill role": (6, 1),
    "kill agents": (4, 2),
    "freeze role": (2, 5),
    "freeze agents": (2, 5),
    "hang agents": (2, 15),
    "partition nodes": (3, 10),
    "power nodes off": (3, 15),
    "crash postgres": (1, 20),
    "stop postgres": (1, 20),
    "crash rabbitmq": (1, 25),
}
CONTAINERS = 60
ESTATE = Estate(2, 2, 4, memory="32MiB", pause=10.0)
WATCH_SECONDS = 0.5


class Real:
    """The lab, as the conductor sees it."""

    name = "lab"

    def __init__(self, lab: Lab, record: Path) -> None:
        self.lab = lab
        self._record = record
        #: Instances seen running, by node, container and generation: when last.
        self._seen: dict[tuple[str, str, int], float] = {}
        self._history: list[Change] = []

    async def all_ready(self) -> bool:
        """Whether every node is READY."""
        connection = await asyncpg.connect(self.lab.database_url.replace("+asyncpg", ""), timeout=5)
        try:
            ready = await connection.fetchval("SELECT count(*) FROM nodes WHERE status = 'READY'")
        finally:
            await connection.close()
        return int(ready) >= len(self.lab.nodes())

    def plan(self, settings: Settings) -> list[Fault]:
        """What will be broken when."""
        nodes = self.lab.nodes()
        seed, seconds, pause = settings.seed, settings.seconds, 2 * settings.pause
        return faults.plan(seed, seconds, nodes, CONTROL_PLANE, nodes, pause=pause, kinds=KINDS, warden=True)

    def customer(self, settings: Settings, book: Ledger) -> Customer:
        """The client."""
        lab, rate = self.lab, settings.rate / 5
        memory = ("32MiB", "64MiB")
        return Customer([lab.api_url], lab.token, book, settings.seed, most=CONTAINERS, rate=rate, memory=memory)

    def owner(self, settings: Settings, book: Ledger) -> Owner:
        """Who owns the deployments."""
        return Owner([self.lab.api_url], self.lab.token, book, settings.seed, ESTATE)

    def meddler(self, settings: Settings) -> Meddler:
        """What doubles, delays and reorders."""
        return Meddler(self.lab.broker_url, self.lab.nodes(), settings.seed)

    async def inject(self, fault: Fault) -> None:
        """Break what the fault says; return when it is mended again."""
        await _HOW[fault.kind](self, fault)

    async def mend_all(self) -> None:
        """No fault is left, and everything that should run does."""
        for role in CONTROL_PLANE:
            await asyncio.to_thread(self.lab.supervisor.signal, role, "CONT")
            await asyncio.to_thread(self.lab.start_role, role)
        for node in self.lab.nodes():
            await asyncio.to_thread(self.lab.heal, node)
            await self._boot(node)
            await self._signal_agent(node, "CONT")

    async def watch(self) -> None:
        """Note which instances run, twice a second: machines without a chronicle are watched."""
        async with asyncio.TaskGroup() as group:
            for node in self.lab.nodes():
                group.create_task(self._watch(node))

    async def evidence(self) -> Evidence:
        """Everything as it is now, and the ledger."""
        nodes = self.lab.nodes()
        found = await gather.tables(self.lab.database_url)
        lists = await asyncio.gather(*(asyncio.to_thread(_instances, self.lab, node) for node in nodes))
        still = [Change(float("inf"), *key, False) for key in self._seen]
        return replace(
            found,
            queues=await gather.queues(self.lab.broker_url, nodes),
            instances=[one for each in lists for one in each],
            history=[*self._history, *still],
            requests=ledger.read(self._record / "ledger.jsonl"),
            demands=ledger.demands(self._record / "ledger.jsonl"),
        )

    async def _watch(self, node: str) -> None:
        """An instance ran from when it was first seen running to when it was last: what overlaps so, did overlap."""
        while True:
            running: set[tuple[str, str, int]] = set()
            now = time.time()
            with suppress(*NOT_YET):
                found = await asyncio.to_thread(_instances, self.lab, node)
                running = {(node, one.container_id, one.generation) for one in found if one.running}
            for key in [key for key in self._seen if key[0] == node and key not in running]:
                self._history.append(Change(self._seen.pop(key), *key, False))
            for key in running:
                if key not in self._seen:
                    self._history.append(Change(now, *key, True))
                self._seen[key] = now
            await asyncio.sleep(WATCH_SECONDS)

    # How each kind of fault is done

    async def _kill_role(self, fault: Fault) -> None:
        await asyncio.to_thread(self.lab.kill_role, fault.targets[0])

    async def _kill_agent(self, fault: Fault) -> None:
        await self._signal_agent(fault.targets[0], "KILL")

    async def _freeze_role(self, fault: Fault) -> None:
        await asyncio.to_thread(self.lab.supervisor.signal, fault.targets[0], "STOP")
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            await asyncio.to_thread(self.lab.supervisor.signal, fault.targets[0], "CONT")

    async def _freeze_agent(self, fault: Fault) -> None:
        await self._signal_agent(fault.targets[0], "STOP")
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            await self._signal_agent(fault.targets[0], "CONT")

    async def _signal_agent(self, node: str, name: str) -> None:
        """To a node's agent, if the machine runs."""
        if await asyncio.to_thread(self.lab.is_alive, node):
            supervisor = self.lab._find(node).supervisor
            await asyncio.to_thread(supervisor.signal, "agent", name)

    async def _partition(self, fault: Fault) -> None:
        for node in fault.targets:
            await asyncio.to_thread(self.lab.partition, node)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            for node in fault.targets:
                await asyncio.to_thread(self.lab.heal, node)

    async def _power_off(self, fault: Fault) -> None:
        for node in fault.targets:
            await asyncio.to_thread(self.lab.kill, node)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            for node in fault.targets:
                await self._boot(node)

    async def _boot(self, node: str) -> None:
        """Start a machine; its agent is not ready while services are away, and that is no matter here."""
        if not await asyncio.to_thread(self.lab.is_alive, node):
            with suppress(*NOT_YET):
                await asyncio.to_thread(self.lab.start, node)

    async def _crash(self, fault: Fault) -> None:
        pid = await asyncio.to_thread(self.lab.supervisor.pid, fault.targets[0])
        if pid and fault.kind.startswith("stop"):
            os.kill(pid, signal.SIGQUIT)
        elif pid:
            os.killpg(os.getpgid(pid), signal.SIGKILL)


def _instances(lab: Lab, node: str) -> list[Instance]:
    """What LXD itself says."""
    with connect(lab.socket(node)) as lxd:
        found: list[dict[str, Any]] = lxd.call("GET", "instances?recursion=1")
    return [
        Instance(
            node,
            one["name"],
            one["config"].get(MARK_CONTAINER, ""),
            int(one["config"].get(MARK_GENERATION, 0)),
            one["status"] == "Running",
            one["config"].get(MARK_DIGEST, ""),
        )
        for one in found
        if MARK_CLUSTER in one["config"]
    ]


_HOW: dict[str, Callable[[Real, Fault], Awaitable[None]]] = {
    "kill role": Real._kill_role,
    "kill agents": Real._kill_agent,
    "freeze role": Real._freeze_role,
    "freeze agents": Real._freeze_agent,
    "hang agents": Real._freeze_agent,
    "partition nodes": Real._partition,
    "power nodes off": Real._power_off,
    "crash postgres": Real._crash,
    "stop postgres": Real._crash,
    "crash rabbitmq": Real._crash,
}
