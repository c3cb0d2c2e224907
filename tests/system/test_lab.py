"""The lab itself: machines that die, come back and are cut off, and a lab that leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from pathfinder.embedded.account import ELSEWHERE
from pathfinder.embedded.control_plane import ControlPlane
from pathfinder.embedded.lab import Lab
from pathfinder.embedded.lab_network import LabNetwork
from pathfinder.embedded.lab_node import lab_cgroup
from pathfinder.embedded.lxd import FILES
from pathfinder.embedded.lxd_client import connect, is_trusted
from pathfinder.embedded.node_init import hierarchies
from pathfinder.embedded.supervisor import wait_until

pytestmark = pytest.mark.lab


def reaches(address: str) -> bool:
    """Whether packets come back from there: even "nobody listens on this port" is an answer."""
    try:
        socket.create_connection((address, 9), timeout=1).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


Traces = dict[str, set[str]]


def traces() -> Traces:
    """What labs could leave behind on this machine: everything there is of each kind."""
    loops = subprocess.run(["losetup", "-lnO", "NAME,BACK-INO"], capture_output=True, text=True, check=True)
    return {
        "processes": {path.name for path in Path("/proc").glob("[0-9]*")},
        "mounts": {line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()},
        "links": set(os.listdir("/sys/class/net")),
        "namespaces": set(filter(None, map(_network_of, Path("/proc").glob("[0-9]*")))),
        "cgroups": {str(path) for root in hierarchies() for path in root.glob("pathfinder-lab*")},
        "loops": set(map(" ".join, map(str.split, loops.stdout.splitlines()))),
    }


def traces_of(root: Path, network: LabNetwork) -> Traces:
    """Those of one lab. Of what other tests start meanwhile it knows nothing."""
    words = (str(root), f"/{lab_cgroup(network)}")
    processes = [path for path in Path("/proc").glob("[0-9]*") if _mentions(path, *words)]
    inodes = {str(path.stat().st_ino) for path in root.glob("nodes/*/lxd/disks/*.img")}
    of = {
        "processes": {path.name for path in processes}.__contains__,
        "mounts": lambda name: name.startswith(words[0]),
        "links": lambda name: name.startswith((network.bridge, network.cable(1))),
        "namespaces": (set(map(_network_of, processes)) - {_network_of(Path("/proc/self"))}).__contains__,
        "cgroups": lambda name: name.endswith(words[1]),
        "loops": lambda name: name.split()[1] in inodes,
    }
    return {kind: set(filter(of[kind], found)) for kind, found in traces().items()}


def _mentions(process: Path, *words: str) -> bool:
    return any(word in _read(process / name) for name in ("cmdline", "environ", "cgroup") for word in words)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _network_of(process: Path) -> str:
    try:
        return os.readlink(process / "ns/net")
    except OSError:
        return ""


def test_every_node_is_a_daemon_of_its_own_with_an_agent(lab: Lab) -> None:
    """Nodes share nothing but the wire."""
    api = ControlPlane(lab.api_url, lab.token)

    assert lab.nodes() == ["node-01", "node-02", "node-03"]
    assert all(api.has_ready_node(node) for node in lab.nodes())
    certificates = set()
    for node in lab.nodes():
        with connect(lab.socket(node)) as lxd:
            certificates.add(lxd.get("")["environment"]["certificate_fingerprint"])
    assert len(certificates) == 3


def test_up_again_is_harmless(lab: Lab) -> None:
    """Nothing is restarted."""
    before = {each.name: each.pid for each in lab.status()}

    lab.up(nodes=3)

    assert {each.name: each.pid for each in lab.status()} == before


def test_a_machine_that_dies_takes_everything_along_and_comes_back_with_its_disk(lab: Lab) -> None:
    """Containers die with it, and what was on its disk is there when it boots again."""
    with connect(lab.socket("node-02")) as lxd:
        source = {"type": "image", "alias": "pathfinder-tiny"}
        lxd.call("POST", "instances", {"name": "survivor", "source": source})
        lxd.call("PUT", "instances/survivor/state", {"action": "start", "timeout": 30})

    lab.kill("node-02")

    assert not lab.is_alive("node-02")
    assert not is_trusted(lab.socket("node-02"))
    assert not reaches(lab.address("node-02"))

    lab.start("node-02")

    assert ControlPlane(lab.api_url, lab.token).has_ready_node("node-02")
    with connect(lab.socket("node-02")) as lxd:
        assert lxd.exists("instances/survivor")
        # LXD starts again what ran when the machine died, but not before it answers.
        wait_until("the survivor", lambda: lxd.get("instances/survivor")["status"] == "Running", 30)
        lxd.call("PUT", "instances/survivor/state", {"action": "stop", "force": True, "timeout": 30})
        lxd.call("DELETE", "instances/survivor")


def test_a_node_sees_nothing_of_what_the_hosts_own_lxd_has_mounted(lab: Lab) -> None:
    """Neither what is mounted when it boots nor later: its daemon would take the host's pool for its own."""
    mounts = [Path(f"/var/lib/lxd/pathfinder-test-{name}") for name in ("before", "after")]
    before, after = mounts
    try:
        for mount in mounts:
            mount.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(before)], check=True)
        lab.kill("node-01")
        lab.start("node-01")
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(after)], check=True)

        seen = Path(f"/proc/{_process_1(lab)}/mountinfo").read_text()

        assert "pathfinder-test" not in seen
        assert " /var/lib/lxd/storage-pools/default " in seen
    finally:
        for mount in mounts:
            subprocess.run(["umount", str(mount)], check=False, capture_output=True)
            mount.rmdir()


def test_a_node_that_is_cut_off_runs_on_and_is_reached_again_when_healed(lab: Lab) -> None:
    """A partition is not a death."""
    assert reaches(lab.address("node-03"))

    lab.partition("node-03")
    try:
        assert not reaches(lab.address("node-03"))
        assert is_trusted(lab.socket("node-03"))
    finally:
        lab.heal("node-03")

    wait_until("packets from node-03", lambda: reaches(lab.address("node-03")), 10)


def test_the_wire_knows_a_node_by_one_hardware_address_whatever_containers_come_and_go(lab: Lab) -> None:
    """A bridge would take the lowest of its ports', and what is sent to the former one is lost for a second or two."""

    def address() -> str:
        return str(json.loads(_on_node_1(lab, "-j", "link", "show", "br0"))[0]["address"])

    before = address()

    _on_node_1(lab, "link", "add", "lowest", "address", "00:00:00:00:00:05", "type", "veth", "peer", "name", "other")
    _on_node_1(lab, "link", "set", "lowest", "master", "br0", "up")
    try:
        assert address() == before
    finally:
        _on_node_1(lab, "link", "delete", "lowest")


def test_a_role_that_is_killed_comes_back(lab: Lab) -> None:
    """Tests kill roles one by one; supervisord starts them again."""
    before = lab.supervisor.pid("scheduler")

    lab.kill_role("scheduler")

    wait_until("a new scheduler", lambda: lab.supervisor.pid("scheduler") not in (0, before), 15)


def test_an_lxcfs_that_is_killed_comes_back(lab: Lab) -> None:
    """What the dead one left mounted is let go: nothing could be mounted over it."""
    first = _process_1(lab)
    enter = ("nsenter", "-t", first, "-p", "-m")
    before = next(each.pid for each in lab.status() if each.name == "node-01/lxcfs")
    subprocess.run([*enter, "sh", "-c", f"kill -9 {before}"], check=True)

    files = [*enter, "cat", f"{FILES}/proc/uptime"]
    wait_until("its files", lambda: not subprocess.run(files, check=False, capture_output=True).returncode, 15)


def test_two_labs_run_side_by_side_and_one_that_was_battered_leaves_nothing(lab: Lab) -> None:
    """Not even when its supervisord and a daemon were killed before anybody asked it to end."""
    with tempfile.TemporaryDirectory(prefix="pf-") as directory:
        other = Lab(Path(directory) / "lab")
        other.up(nodes=1)
        lab_of = other.home.root, LabNetwork(int(other.home.recall("network")))
        its = traces_of(*lab_of)
        assert all(its[kind] for kind in its.keys() - {"mounts"})
        elsewhere = ELSEWHERE / other.home.digest
        node_lxd = next(each.pid for each in other.status() if each.name == "node-01/lxd")
        assert node_lxd is not None
        subprocess.run(["nsenter", "-t", _process_1(other), "-p", "-m", "sh", "-c", f"kill -9 {node_lxd}"], check=True)
        os.kill(int((other.supervisor.directory / "supervisord.pid").read_text()), signal.SIGKILL)

        other.down()

        assert not other.home.root.exists()
        assert not elsewhere.exists()

    def left() -> Traces:
        there, new = traces(), traces_of(*lab_of)
        return {kind: found for kind in its if (found := there[kind] & its[kind] | new[kind])}

    with suppress(TimeoutError):  # the kernel tidies up on its own time
        wait_until("no trace", lambda: not left(), 10)
    assert left() == {}
    assert all(ControlPlane(lab.api_url, lab.token).has_ready_node(node) for node in lab.nodes())


def _process_1(lab: Lab) -> str:
    """Process 1 of node-01, as the host numbers it: the only child of its `unshare`."""
    unshare = lab.supervisor.pid("node-01")
    return Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()[0]


def _on_node_1(lab: Lab, *arguments: str) -> str:
    """What `ip` says in node-01's network."""
    command = ("nsenter", "--net", "--target", _process_1(lab), "ip", *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
