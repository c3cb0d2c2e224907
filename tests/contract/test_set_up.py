"""A whole Pathfinder on this machine, as `make demo`, `up`, `down` and `clean` make and remove it.

It stands here because it shares this machine's own LXD with the runtime's suite.
"""

import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pathfinder.domain.access import DEVELOPMENT_PASSWORD, DEVELOPMENT_USER
from pathfinder.embedded import orphans
from pathfinder.embedded.account import remove_data_elsewhere
from pathfinder.embedded.home import Home
from pathfinder.embedded.lxd_client import LxdClient, connect
from pathfinder.embedded.ports import free_port
from pathfinder.embedded.progress import Silent
from pathfinder.embedded.stack import Stack
from pathfinder.embedded.supervisor import Supervisor

PORT = 21880
#: A demo's container has a fixed name; this machine may have one already.
DEMO = "from pathfinder.cli.operator import demo, main; demo.CONTAINER = {name!r}; main()"


class Machine:
    """What a user types, in a home of the test's own."""

    def __init__(self, directory: Path) -> None:
        self.home = Home(directory / "home")
        self.container = f"t-{uuid.uuid4().hex[:10]}"
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PATHFINDER_", "PFI_"))}
        self.environment = kept | {
            "PATHFINDER_HOME": str(self.home.root),
            "PATHFINDER_API_LISTEN": f"127.0.0.1:{free_port(PORT)}",
            "PFI_CONFIG": str(directory / "config"),
        }

    def pathfinder(self, *arguments: str, **settings: str) -> str:
        """Run `pathfinder`; what it printed."""
        return self._run("-c", DEMO.format(name=self.container), *arguments, **settings)

    def pfi(self, *arguments: str) -> str:
        """Run `pfi`; what it printed."""
        return self._run("-m", "pathfinder.cli.pfi", *arguments)

    def instance(self, lxd: LxdClient) -> dict[str, Any]:
        """The demo's container in LXD."""
        found: dict[str, Any] = lxd.get(f"instances/{self.container}")
        return found

    def processes(self) -> list[orphans.Orphan]:
        """Every process that was started from this home."""
        return orphans.find(Supervisor(self.home).url)

    def _run(self, *arguments: str, **settings: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], env=self.environment | settings, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A fresh home."""
    with tempfile.TemporaryDirectory(prefix="pf-") as directory:
        made = Machine(Path(directory))
        yield made
        Stack(made.home, made.environment).clean(Silent())
        remove_data_elsewhere(made.home)


@pytest.fixture
def lxd(lxd_socket: Path) -> Iterator[LxdClient]:
    """This machine's LXD."""
    with connect(lxd_socket) as client:
        yield client


@pytest.fixture
def foreign(lxd: LxdClient) -> Iterator[str]:
    """An instance that is none of Pathfinder's business."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    lxd.call("POST", "instances", {"name": name, "type": "container", "source": {"type": "none"}})
    yield name
    lxd.call("DELETE", f"instances/{name}")


@pytest.mark.lxd
def test_a_whole_pathfinder_comes_goes_and_comes_back_and_leaves_only_what_is_not_its_own(
    machine: Machine, lxd: LxdClient, tiny_image: str, foreign: str
) -> None:
    """Demo twice makes one container; `down` leaves no process and keeps it; `clean` removes it, and nothing else."""
    settings = {"PATHFINDER_RUNTIME": "lxd", "PATHFINDER_DEFAULT_IMAGE": f"local:{tiny_image}"}

    first = machine.pathfinder("demo", **settings)
    made = machine.instance(lxd)
    second = machine.pathfinder("demo", **settings)

    assert "PROVISIONED" in first
    assert "SIMULATED" not in first
    assert f"Container {machine.container} is already there." in second
    assert machine.instance(lxd)["created_at"] == made["created_at"]
    [container] = json.loads(machine.pfi("get", "containers", "-o", "json"))
    assert (container["hostname"], container["node"]) == (machine.container, "node-01")

    machine.pathfinder("down")
    assert machine.processes() == []

    assert "Pathfinder is up" in machine.pathfinder("up", **settings)
    assert machine.container in machine.pfi("get", "containers", "--status", "PROVISIONED", "-o", "name")
    assert machine.instance(lxd)["created_at"] == made["created_at"]

    machine.pathfinder("clean")
    assert machine.processes() == []
    assert not machine.home.root.exists()
    assert "local" not in machine.pfi("config", "view")
    assert not lxd.exists(f"instances/{machine.container}")
    assert lxd.exists(f"instances/{foreign}")
    assert lxd.exists(f"images/aliases/{tiny_image}")


def test_a_simulated_node_of_another_cluster_comes_up_and_says_what_it_is(machine: Machine) -> None:
    """Nobody should take it for a real one; `up` waits for it, and `pfi` looks for it, in the cluster it joins.

    What everybody knows logs in to what nobody else can reach.
    """
    up = machine.pathfinder("up", PATHFINDER_RUNTIME="simulated", PATHFINDER_CLUSTER="blue")

    assert "ready, SIMULATED" in up
    assert "node-01 SIMULATED" in machine.pfi("get", "nodes")
    assert machine.pfi("get", "clusters", "-o", "name").split() == ["blue"]
    address = f"http://{machine.environment['PATHFINDER_API_LISTEN']}/api/v3/session"
    login = {"username": DEVELOPMENT_USER, "password": DEVELOPMENT_PASSWORD}
    assert httpx2.post(address, json=login, trust_env=False).json()["role"] == "admin"
