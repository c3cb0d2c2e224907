"""What the contract suites run on: this machine's LXD with a tiny image, and the simulation."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from pathfinder.domain.instances import InstanceOrder
from pathfinder.domain.resources import Resources
from pathfinder.embedded.image import ensure_tiny_image
from pathfinder.embedded.lxd import ensure_lxd
from pathfinder.runtime.lxd import LxdRuntime
from pathfinder.runtime.port import Runtime
from pathfinder.runtime.simulated import SimulatedRuntime

#: A server where nobody listens, so that the test means the same with and without a way to the Internet.
REMOTES = {"unreachable": "https://127.0.0.1:9/releases"}

MakeOrder = Callable[..., InstanceOrder]


@pytest.fixture(scope="session")
def lxd_socket() -> Path:
    """The socket of a running LXD: $PATHFINDER_TEST_LXD_SOCKET, else the machine's own, started if need be."""
    if explicit := os.environ.get("PATHFINDER_TEST_LXD_SOCKET"):
        return Path(explicit)
    return ensure_lxd()


@pytest.fixture(scope="session")
def tiny_image(lxd_socket: Path) -> str:
    """The alias of an image in LXD's store that boots in well under a second."""
    return ensure_tiny_image(lxd_socket)


@pytest.fixture(params=["simulated", pytest.param("lxd", marks=pytest.mark.lxd)])
async def runtime(request: pytest.FixtureRequest, cluster_id: str) -> AsyncIterator[Runtime]:
    """Each implementation of the port in turn; what a test made is removed afterwards."""
    made: Runtime = SimulatedRuntime()
    if request.param == "lxd":
        made = LxdRuntime(request.getfixturevalue("lxd_socket"), remotes=REMOTES)
    yield made
    await _remove_all(made, cluster_id)
    await made.close()


@pytest.fixture
async def lxd(lxd_socket: Path, cluster_id: str) -> AsyncIterator[LxdRuntime]:
    """Real LXD alone, for what a simulation cannot show."""
    made = LxdRuntime(lxd_socket, remotes=REMOTES)
    yield made
    await _remove_all(made, cluster_id)
    await made.close()


async def _remove_all(runtime: Runtime, cluster_id: str) -> None:
    await asyncio.gather(*(runtime.remove(each.hostname) for each in await runtime.instances(cluster_id)))


@pytest.fixture
def cluster_id() -> str:
    """A cluster of this test's own."""
    return str(uuid.uuid4())


@pytest.fixture
def image(request: pytest.FixtureRequest) -> str:
    """An image that is there: the simulation has every image."""
    simulated = "runtime" in request.fixturenames and "simulated" in request.node.callspec.id
    alias = "tiny" if simulated else request.getfixturevalue("tiny_image")
    return f"local:{alias}"


@pytest.fixture
def order(cluster_id: str, image: str) -> MakeOrder:
    """Makes orders with a name of their own; keyword arguments replace fields."""

    def make(**fields: object) -> InstanceOrder:
        usual: dict[str, object] = {
            "hostname": f"t-{uuid.uuid4().hex[:10]}",
            "container_id": str(uuid.uuid4()),
            "generation": 1,
            "cluster_id": cluster_id,
            "image": image,
            "resources": Resources(cpu_millicores=500, memory_bytes=64 << 20, disk_bytes=256 << 20),
        }
        return InstanceOrder(**(usual | fields))  # type: ignore[arg-type]

    return make
