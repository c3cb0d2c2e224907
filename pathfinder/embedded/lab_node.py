"""One node of a lab: a real LXD and an agent in namespaces of their own. Killing process 1 is a machine's death."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pathfinder.embedded import lxd
from pathfinder.embedded.errors import EmbeddedError
from pathfinder.embedded.home import Home
from pathfinder.embedded.image import ensure_tiny_image
from pathfinder.embedded.lab_network import LabNetwork
from pathfinder.embedded.lxd_client import connect, is_trusted
from pathfinder.embedded.lxd_setup import complete_profile, make_pool
from pathfinder.embedded.node_init import NodeOrder, hierarchies
from pathfinder.embedded.program import Program
from pathfinder.embedded.supervisor import Supervisor, wait_until

READY_SECONDS = 30.0
#: The kernel's limit for the path of a Unix socket, less the byte that ends it.
_SOCKET_PATH_LIMIT = 107
_CARD = {"type": "nic", "nictype": "bridged", "parent": "br0", "name": "eth0"}


@dataclass(frozen=True)
class LabNode:
    """A node by its number, 1 and up; its files are in `home`."""

    number: int
    home: Home
    network: LabNetwork

    @property
    def name(self) -> str:
        """`node-01`, as everywhere."""
        return f"node-{self.number:02d}"

    @property
    def socket(self) -> Path:
        """Its LXD's socket, as the host sees it."""
        return self.home.root / "lxd" / "unix.socket"

    @property
    def supervisor(self) -> Supervisor:
        """The supervisord inside, which runs its LXD and its agent."""
        return Supervisor(self.home)

    @property
    def cgroup(self) -> str:
        """Its cgroup, relative to each hierarchy's root."""
        return f"{lab_cgroup(self.network)}/{self.name}"

    def program(self) -> Program:
        """The node as one program of the lab's supervisord. Nothing in it is asked to stop: a lab is thrown away."""
        self.home.create()
        for name in ("lxd", "scratch"):
            (self.home.root / name).mkdir(exist_ok=True)
        if len(str(self.socket)) > _SOCKET_PATH_LIMIT:
            raise EmbeddedError(
                f"{self.socket} is too long for a socket; keep the lab in a directory with a short path."
            )
        order = self.home.root / "node.json"
        NodeOrder(
            address=self.network.node_address(self.number),
            gateway=self.network.host,
            lxd_directory=str(self.home.root / "lxd"),
            scratch=str(self.home.root / "scratch"),
            cgroup=self.cgroup,
            supervisord=str(self._configure_supervisord()),
        ).write(order)
        # Slave: what the host unmounts must not be held by the lab.
        namespaces = ("unshare", "--net", "--mount", "--propagation=slave", "--pid", "--fork", "--kill-child")
        command = (*namespaces, sys.executable, "-m", "pathfinder.embedded.node_init", str(order))
        return Program(self.name, command, priority=600, stop_signal="KILL", stop_children=True, restart=False)

    def boot(self, pid: int) -> None:
        """Wire the node whose program runs as `pid`, and wait until its LXD is ready and set up."""
        self.network.plug_in(self.number, pid)
        self.supervisor.await_answer(READY_SECONDS)
        programs = lxd.programs(
            {"LXD_DIR": str(lxd.DIRECTORY)}
        )  # said, not defaulted: keeps logs and caches in it, too
        self.supervisor.define(programs)
        for program in programs:
            self.supervisor.start(program.name)
        self.supervisor.wait("lxd", lambda: is_trusted(self.socket), READY_SECONDS)
        self._initialise()

    def is_alive(self, outer: Supervisor) -> bool:
        """Whether its process 1 runs."""
        return outer.is_running(self.name)

    def await_end(self) -> None:
        """Wait until nothing is left of a node that was killed: no cgroup, and nobody who holds its disk.

        The kernel unmounts the pool some time after the last process is gone. A daemon that starts before that cannot
        mount it, and would run without it for a minute.
        """
        remove_cgroups(self.cgroup)
        wait_until(f"{self.name}'s disk to be let go", lambda: not _is_attached(self.home.root), READY_SECONDS)

    def _configure_supervisord(self) -> Path:
        self.supervisor.prepare()
        # The socket of a node that was killed is still there, and nobody listens on it.
        self.supervisor.socket.unlink(missing_ok=True)
        return self.supervisor.write_configuration()

    def _initialise(self) -> None:
        with connect(self.socket) as client:
            pools = client.get("storage-pools")
            pool = pools[0].rsplit("/", 1)[1] if pools else make_pool(client, self.home.root)
            complete_profile(client, {"root": {"type": "disk", "path": "/", "pool": pool}, "eth0": _CARD})
        ensure_tiny_image(self.socket)


def _is_attached(root: Path) -> bool:
    """Whether a loop device still holds a pool of the node in `root`; found by inode, for the paths are the node's."""
    return any(
        subprocess.run(["losetup", "-j", str(image)], capture_output=True, check=False).stdout
        for image in (root / "lxd" / "disks").glob("*.img")
    )


def lab_cgroup(network: LabNetwork) -> str:
    """The cgroup all nodes of a lab are in."""
    return f"pathfinder-lab{network.index}"


def remove_cgroups(name: str, seconds: float = READY_SECONDS) -> None:
    """Remove a cgroup with all below it from every hierarchy; killed containers cannot remove their own."""
    # The kernel takes a moment to empty the cgroups of killed processes.
    wait_until(f"the end of the cgroup {name}", lambda: _removed(name), seconds)


def _removed(name: str) -> bool:
    try:
        for hierarchy in hierarchies():
            for path, _, _ in os.walk(hierarchy / name, topdown=False):
                Path(path).rmdir()
    except OSError:
        return False
    return True
