"""The runtime port: the few things an agent asks of the machine it runs on.

Each call is idempotent or says clearly that it was already done, carries its own deadline, and may be repeated
after a crash at any line. `tests/contract/test_runtime.py` holds both implementations to this text.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from pathfinder.domain.bootstrapping import File
from pathfinder.domain.checks import Check
from pathfinder.domain.errors import PathfinderError
from pathfinder.domain.instances import (
    ContainerUsage,
    ExecResult,
    Fault,
    Instance,
    InstanceOrder,
    NodeFacts,
    NodeUsage,
    Stage,
)

#: Called while an instance is being made: the stage, and percent done where it is known (0 to 100).
Progress = Callable[[Stage, int | None], None]


class RuntimeFailure(PathfinderError):
    """Root of what a runtime can answer instead of doing the work."""

    fault = Fault.NODE
    #: Set where a half-made instance could not be removed again.
    left = False


class RuntimeUnreachable(RuntimeFailure):
    """The daemon does not answer, or did not in time."""


class OperationFailed(RuntimeFailure):
    """The daemon tried and failed; the message is its own."""


class Refused(RuntimeFailure):
    """The daemon refused the request as written; no node would do it."""

    fault = Fault.REQUEST


class ImageNotFound(Refused):
    """The image is not where the request says."""


class ImageNotHere(ImageNotFound):
    """The image is not in this node's own store; another node's may have it."""

    fault = Fault.NODE


class ImageServerUnreachable(RuntimeFailure):
    """The image server does not answer from this node."""


class InstanceExists(RuntimeFailure):
    """An instance of that name is there already."""


class NoAddress(RuntimeFailure):
    """The instance runs but got no IPv4 address in time."""


class Runtime(Protocol):
    """A machine that can hold instances."""

    #: `lxd` or `simulated`; shown wherever the node is.
    kind: str

    async def facts(self) -> NodeFacts:
        """What the machine is. Raises RuntimeUnreachable."""

    async def usage(self) -> NodeUsage:
        """How busy it is now, never cached. Raises RuntimeUnreachable."""

    async def usages(self, cluster_id: str) -> Mapping[str, ContainerUsage]:
        """What each of the cluster's running instances uses, by the id of its container, never cached.

        Its counters begin anew with each start. Raises RuntimeUnreachable.
        """

    async def images(self) -> tuple[str, ...]:
        """The images it has already, by every name a container may ask for them by. Raises RuntimeUnreachable."""

    async def instance(self, hostname: str) -> Instance | None:
        """The instance of that name, whoever made it, or None."""

    async def instances(self, cluster_id: str) -> list[Instance]:
        """Every instance Pathfinder made here for that cluster, with addresses of the running ones."""

    async def create(self, order: InstanceOrder, progress: Progress) -> None:
        """Make the instance, stopped, with its files, from its image, downloading that first if need be.

        Whole or not at all: when it raises, no instance is left behind.
        Raises InstanceExists, ImageNotFound, ImageNotHere, ImageServerUnreachable, Refused, OperationFailed,
        RuntimeUnreachable.
        """

    async def start(self, hostname: str) -> None:
        """Start it; running already is success. Raises OperationFailed, RuntimeUnreachable."""

    async def address(self, hostname: str, timeout_seconds: float) -> str:
        """Wait for its first global IPv4. Raises NoAddress after the time-out, OperationFailed if it stopped."""

    async def stop(self, hostname: str, timeout_seconds: float) -> None:
        """Stop it, by force after the time-out (0: at once); stopped or absent is success."""

    async def remove(self, hostname: str) -> None:
        """Stop it by force and delete it with its disk; absent is success. Raises OperationFailed."""

    async def push(self, hostname: str, file: File) -> None:
        """Write a file into an instance, running or not, with the directories above it; one that is there is replaced.

        Raises OperationFailed, RuntimeUnreachable.
        """

    async def execute(
        self,
        hostname: str,
        command: Sequence[str],
        *,
        timeout_seconds: float,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> ExecResult:
        """Run a command in a running instance, as root, and wait until it has ended; 127 where there is none such.

        It is killed when it does not end in time, or whoever waits is gone; what it began lives on.
        Raises OperationFailed if the instance does not run, or if it did not end in time, RuntimeUnreachable.
        """

    async def probe(self, hostname: str, address: str, check: Check) -> str | None:
        """Why this check of the running instance at `address` fails, in words; None if it is well.

        Raises RuntimeUnreachable where that cannot be told.
        """

    def endings(self) -> AsyncGenerator[str]:
        """Hostnames of instances, whoever made them, as they stop from now on: by themselves, or made to.

        Hints only: each may be late, or of one that runs again by now. Goes on until RuntimeUnreachable is raised.
        """

    async def update(self, order: InstanceOrder) -> None:
        """Make limits, config, environment, devices and checks of the instance those of `order`, while it runs.

        Image, profiles and files stay what they are; what is taken out of the environment goes with the next start.
        Raises Refused for what cannot be changed, OperationFailed, RuntimeUnreachable.
        """

    async def close(self) -> None:
        """Give back threads and connections."""
