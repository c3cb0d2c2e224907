"""Process 1 of a lab node: turns a few fresh namespaces into something LXD takes for a machine of its own.

Run by `lab_node` as `unshare … python -m pathfinder.embedded.node_init ORDER.json`. It makes the mounts, joins a cgroup
of the node's own, sets up the network card that it is given, and becomes the node's supervisord.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from pathfinder.embedded.lab_bridge import bridge
from pathfinder.embedded.supervisor import wait_until

_CARD_SECONDS = 10.0
CGROUPS = Path("/sys/fs/cgroup")
#: Where a daemon keeps everything.
LXD = "/var/lib/lxd"


@dataclass(frozen=True)
class NodeOrder:
    """What a node is made of; paths are the host's."""

    #: `10.177.0.11/22`, and where everything else is.
    address: str
    gateway: str
    #: Mounted at /var/lib/lxd, so that it is where it would be on a machine of its own.
    lxd_directory: str
    #: An empty directory to move mounts through.
    scratch: str
    #: Its cgroup, relative to each hierarchy's root.
    cgroup: str
    #: The configuration of its supervisord.
    supervisord: str

    def write(self, path: Path) -> None:
        """Write it for `main`."""
        path.write_text(json.dumps(asdict(self)))


def main() -> None:
    """Become the node."""
    order = NodeOrder(**json.loads(Path(sys.argv[1]).read_text()))
    join_cgroup(order.cgroup)
    _mount(order)
    _configure_card(order)
    command = [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "-c", order.supervisord]
    os.execv(command[0], command)  # noqa: S606  no shell wanted


def join_cgroup(name: str, root: Path = CGROUPS) -> None:
    """Move this process into a cgroup of its own in every hierarchy. Containers' cgroups are made below process 1's."""
    for hierarchy in hierarchies(root):
        group = hierarchy / name
        if (hierarchy / "cgroup.controllers").exists():
            # The unified hierarchy wants processes in leaves only; LXC looks above a leaf of this name.
            group = group / "init.scope"
        group.mkdir(parents=True, exist_ok=True)
        for ancestor in reversed([group, *group.parents]):
            _inherit_cpus(ancestor)
        (group / "cgroup.procs").write_text("0")


def hierarchies(root: Path = CGROUPS) -> list[Path]:
    """The roots of all cgroup hierarchies: one with cgroup v2, one for each set of controllers with v1."""
    if (root / "cgroup.controllers").exists():
        return [root]
    return [path for path in root.iterdir() if path.is_dir() and not path.is_symlink() and path.is_mount()]


def _inherit_cpus(group: Path) -> None:
    # A v1 cpuset starts empty and takes no process until it has processors and memory.
    for name in ("cpuset.cpus", "cpuset.mems"):
        file, above = group / name, group.parent / name
        if file.exists() and above.exists() and not file.read_text().strip():
            file.write_text(above.read_text())


def _mount(order: NodeOrder) -> None:
    _forget_hosts_lxd()
    # A fresh /sys shows this namespace's network cards, but hides the cgroups mounted below the old one.
    _run("mount", "--rbind", str(CGROUPS), order.scratch)
    _run("mount", "-t", "sysfs", "sysfs", "/sys")
    _run("mount", "--rbind", order.scratch, str(CGROUPS))
    _run("umount", "-l", order.scratch)
    _run("mount", "-t", "proc", "proc", "/proc")
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    _run("mount", "--bind", order.lxd_directory, LXD)


def _forget_hosts_lxd() -> None:
    """Let go of what the host's own LXD has mounted, and take no more of it.

    A daemon asks `mountpoint` whether its pool is mounted. That would find the host's pool, hidden below the node's own
    directory but with the same path, and the daemon would run without any.
    """
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for target in reversed([each for each in mounted if each == LXD or each.startswith(f"{LXD}/")]):
        _run("umount", "-l", target)
    below = subprocess.run(["findmnt", "-n", "-o", "TARGET", "-T", LXD], capture_output=True, text=True, check=True)
    _run("mount", "--make-private", below.stdout.strip())


def _configure_card(order: NodeOrder) -> None:
    wait_until("the node's network card", Path("/sys/class/net/eth0").exists, _CARD_SECONDS)
    _run("ip", "link", "set", "lo", "up")
    _run("ip", *bridge("br0", order.address))
    _run("ip", "link", "set", "eth0", "master", "br0", "up")
    _run("ip", "address", "add", order.address, "dev", "br0")
    _run("ip", "link", "set", "br0", "up")
    _run("ip", "route", "add", "default", "via", order.gateway)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
