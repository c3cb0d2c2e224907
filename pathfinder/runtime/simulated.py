"""The runtime without a machine: instances are rows in memory, latencies are sleeps. For scale tests and laptops.

`tests/contract/test_runtime.py` holds it to the same text as real LXD. It costs one dict entry and one timer for an
instance, so one process can play thousands of nodes.
"""

import asyncio
import hashlib
import random
import re
import shlex
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from pathfinder.domain.bootstrapping import File
from pathfinder.domain.checks import Check
from pathfinder.domain.instances import ContainerUsage, ExecResult, Instance, InstanceOrder, NodeFacts, NodeUsage, Stage
from pathfinder.domain.resources import Resources
from pathfinder.runtime import probes
from pathfinder.runtime.port import (
    ImageNotFound,
    ImageNotHere,
    ImageServerUnreachable,
    InstanceExists,
    NoAddress,
    OperationFailed,
    Progress,
    Refused,
    RuntimeUnreachable,
)
from pathfinder.runtime.simulated_journal import Journal
from pathfinder.runtime.simulated_meters import DISK_BYTES, Draw, Meters

#: What commands and files may tell the simulation to do.
_TOLD = re.compile(r"simulated:(exit|seconds)=([0-9.]+)")

DEFAULT_CAPACITY = Resources(cpu_millicores=8000, memory_bytes=32 << 30, disk_bytes=500 << 30)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long each step takes, in seconds, each drawn evenly from ± `jitter` (a share of it) around it."""

    create_seconds: float = 0.05
    start_seconds: float = 0.05
    address_seconds: float = 0.1
    stop_seconds: float = 0.02
    jitter: float = 0.2


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong, chosen by what the order asks for, so that a test or a demonstration can ask for it.

    The first four are image aliases (without their remote); `unreachable_remote` is a remote's name.
    """

    missing_image: str = "missing"
    broken_image: str = "broken"
    mute_image: str = "mute"
    sick_image: str = "sick"
    unreachable_remote: str = "unreachable"
    profiles: tuple[str, ...] = ("default",)


class SimulatedRuntime:
    """A machine that exists in memory only.

    `name` and `seed` make two simulated machines differ and the same one repeat itself. With a `journal` path its
    instances outlive the process, as LXD's do.
    """

    kind = "simulated"

    def __init__(
        self,
        name: str = "simulated",
        *,
        capacity: Resources = DEFAULT_CAPACITY,
        pace: Pace | None = None,
        faults: Faults | None = None,
        seed: int = 0,
        journal: Path | None = None,
    ) -> None:
        self._name = name
        self._capacity = capacity
        self._pace = pace or Pace()
        self._faults = faults or Faults()
        self._random = random.Random(f"{name}/{seed}")  # noqa: S311 -- latencies, not secrets
        self._journal = Journal(journal) if journal else None
        self._instances: dict[str, Instance] = self._journal.load() if self._journal else {}
        self._meters = Meters()
        self._mute: set[str] = set()
        self._images: set[str] = set()
        self._files: dict[tuple[str, str], str] = {}
        self._listeners: set[asyncio.Queue[str]] = set()
        #: Why no check of these instances is well, by their hostnames; see also `Faults`.
        self.sick: dict[str, str] = {}
        #: Set to make every call answer RuntimeUnreachable, as a dead daemon would.
        self.unreachable = False

    async def facts(self) -> NodeFacts:
        """What the machine pretends to be."""
        self._require_reachable()
        return NodeFacts(
            capacity=self._capacity,
            architecture="x86_64",
            runtime=self.kind,
            runtime_version="1",
            machine_id=hashlib.sha256(self._name.encode()).hexdigest()[:32],
            pool_driver=self.kind,
            disk_limits=True,
        )

    async def usage(self) -> NodeUsage:
        """A load that grows with the number of running instances."""
        self._require_reachable()
        running = sum(each.running for each in self._instances.values())
        load = running / 100
        return NodeUsage(load, load, load, running << 24, len(self._instances) * DISK_BYTES)

    async def usages(self, cluster_id: str) -> dict[str, ContainerUsage]:
        """What its running instances use: next to nothing, but for those that were made `busy`."""
        self._require_reachable()
        ours = [each for each in self._instances.values() if each.cluster_id == cluster_id and each.running]
        now = time.monotonic()
        return {each.container_id: self._meters.read(each.hostname, now) for each in ours if each.container_id}

    def busy(self, hostname: str, *, cores: float, memory_bytes: int = 0, bytes_per_second: float = 0.0) -> None:
        """Have an instance of that name, there or not yet, use so much from now on."""
        self._meters.turn(hostname, time.monotonic(), Draw(cores, memory_bytes, bytes_per_second))

    async def images(self) -> tuple[str, ...]:
        """Those it made instances of."""
        self._require_reachable()
        return tuple(sorted(self._images))

    async def instance(self, hostname: str) -> Instance | None:
        """The instance of that name, or None."""
        self._require_reachable()
        return self._instances.get(hostname)

    async def instances(self, cluster_id: str) -> list[Instance]:
        """Every instance of that cluster."""
        self._require_reachable()
        return [each for each in self._instances.values() if each.cluster_id == cluster_id]

    async def create(self, order: InstanceOrder, progress: Progress) -> None:
        """Make it, or fail as its image, remote or profile says; see the port and `Faults`."""
        self._require_free(order.hostname)
        self._require_makeable(order)
        progress(Stage.CREATE, None)
        await self._take(self._pace.create_seconds)
        self._require_free(order.hostname)
        if _alias(order) == self._faults.broken_image:
            raise OperationFailed(f"Image {order.image!r} cannot be unpacked (it is the simulation's broken one).")
        if _alias(order) == self._faults.mute_image:
            self._mute.add(order.hostname)
        if _alias(order) == self._faults.sick_image:
            self.sick[order.hostname] = "it is of the simulation's sick image"
        self._keep(order.instance())
        for file in order.files:
            await self.push(order.hostname, file)
        self._images.add(order.image)

    async def start(self, hostname: str) -> None:
        """Start it; running already is success."""
        if self._require(hostname).running:
            return
        await self._take(self._pace.start_seconds)
        self._keep(replace(self._require(hostname), running=True))

    async def address(self, hostname: str, timeout_seconds: float) -> str:
        """Its address, after a while; NoAddress for the `mute` image."""
        self._require_running(hostname)
        if hostname in self._mute:
            await asyncio.sleep(timeout_seconds)
            raise NoAddress(f"Container {hostname!r} runs but got no IPv4 address within {timeout_seconds:g} s.")
        if (known := self._require_running(hostname).address) is None:
            await self._take(self._pace.address_seconds)
            known = self._address_of(hostname)
            self._keep(replace(self._require_running(hostname), address=known))
        return known

    async def stop(self, hostname: str, timeout_seconds: float) -> None:
        """Stop it; stopped or absent is success."""
        self._require_reachable()
        await self._take(min(self._pace.stop_seconds, timeout_seconds))
        if (found := self._instances.get(hostname)) and found.running:
            self._keep(replace(found, running=False, address=None))
            for listener in self._listeners:
                listener.put_nowait(hostname)

    async def remove(self, hostname: str) -> None:
        """Delete it; absent is success."""
        self._require_reachable()
        if hostname not in self._instances:
            return
        await self._take(self._pace.stop_seconds)
        self._mute.discard(hostname)
        self.sick.pop(hostname, None)
        self._files = {key: content for key, content in self._files.items() if key[0] != hostname}
        if self._instances.pop(hostname, None) and self._journal:
            self._journal.removed(hostname)

    async def push(self, hostname: str, file: File) -> None:
        """Keep a file, for the commands that name it."""
        self._require(hostname)
        self._files[hostname, file.path] = file.content

    async def execute(
        self,
        hostname: str,
        command: Sequence[str],
        *,
        timeout_seconds: float,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> ExecResult:
        """Succeed, unless the command, or a file that it names, says `simulated:exit=N` or `simulated:seconds=N`."""
        if not self._require(hostname).running:
            raise OperationFailed(f"Container {hostname!r} does not run.")
        said = "\n".join([*command, *(self._files.get((hostname, each), "") for each in command)])
        told = {name: float(value) for name, value in _TOLD.findall(said)}
        if (seconds := told.get("seconds", 0.0)) > timeout_seconds:
            await asyncio.sleep(timeout_seconds)
            raise OperationFailed(f"{command[0]!r} did not end within {timeout_seconds:g} s.")
        await asyncio.sleep(seconds)
        self._require_reachable()
        return ExecResult(int(told.get("exit", 0)), f"{shlex.join(command)} (simulated)\n")

    async def probe(self, hostname: str, address: str, check: Check) -> str | None:
        """As `sick` says of it; else commands are run, and all ports are well."""
        self._require_reachable()
        if (reason := self.sick.get(hostname)) is not None:
            return reason
        return await probes.command(self, hostname, check) if check.exec is not None else None

    async def endings(self) -> AsyncGenerator[str]:
        """Those that are stopped: nothing ends by itself here."""
        self._require_reachable()
        listener: asyncio.Queue[str] = asyncio.Queue()
        self._listeners.add(listener)
        try:
            while True:
                hostname = await listener.get()
                self._require_reachable()
                yield hostname
        finally:
            self._listeners.discard(listener)

    async def update(self, order: InstanceOrder) -> None:
        """Keep what the order says."""
        found = self._require(order.hostname)
        self._keep(replace(order.instance(running=found.running), address=found.address))

    async def close(self) -> None:
        """Close the journal."""
        if self._journal:
            self._journal.close()

    def _keep(self, instance: Instance) -> None:
        self._instances[instance.hostname] = instance
        if self._journal:
            self._journal.kept(instance)

    async def _take(self, seconds: float) -> None:
        self._require_reachable()
        await asyncio.sleep(seconds * (1 + self._pace.jitter * self._random.uniform(-1, 1)))
        self._require_reachable()

    def _address_of(self, hostname: str) -> str:
        """An address in 10.0.0.0/8 that follows from the two names, so that a restart gives the same one."""
        first, second, third = hashlib.blake2b(f"{self._name}/{hostname}".encode(), digest_size=3).digest()
        return f"10.{first}.{second}.{max(1, min(third, 254))}"

    def _require_reachable(self) -> None:
        if self.unreachable:
            raise RuntimeUnreachable("The simulated daemon does not answer.")

    def _require_free(self, hostname: str) -> None:
        self._require_reachable()
        if hostname in self._instances:
            raise InstanceExists(f"An instance named {hostname!r} is on this node already.")

    def _require(self, hostname: str) -> Instance:
        self._require_reachable()
        if (found := self._instances.get(hostname)) is None:
            raise OperationFailed(f"There is no instance named {hostname!r} on this node.")
        return found

    def _require_running(self, hostname: str) -> Instance:
        found = self._require(hostname)
        if not found.running:
            raise OperationFailed(f"Container {hostname!r} does not run, so it gets no address.")
        return found

    def _require_makeable(self, order: InstanceOrder) -> None:
        remote, colon, _ = order.image.partition(":")
        if colon and remote == self._faults.unreachable_remote:
            raise ImageServerUnreachable(f"Image {order.image!r} cannot be fetched: its server does not answer.")
        if _alias(order) == self._faults.missing_image:
            missing = ImageNotFound if colon and remote != "local" else ImageNotHere
            raise missing(f"Image {order.image!r} is the simulation's missing one; any other name is there.")
        for profile in order.profiles:
            if profile not in self._faults.profiles:
                raise Refused(f"Profile {profile!r} is not on this node.")


def _alias(order: InstanceOrder) -> str:
    return order.image.rpartition(":")[2]
