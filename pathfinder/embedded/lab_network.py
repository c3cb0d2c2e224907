"""The lab's network: one bridge of the host as the wire that all nodes share, and a cable from it to each node.

Each cable is a veth pair whose far end lives in the node's network namespace, so it vanishes with the node.
"""

import contextlib
import os
import subprocess
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from pathfinder.embedded.errors import EmbeddedError, NotReady
from pathfinder.embedded.lab_bridge import bridge
from pathfinder.embedded.lxd_setup import free_subnet, routed_networks
from pathfinder.embedded.supervisor import wait_until

#: How many labs may be on one machine at the same time.
MOST_LABS = 40
#: A lab's subnet: addresses from its 11th are nodes, from its 100th containers.
_PREFIX, _SIZE = 22, 4
_FIRST_NODE, _FIRST_CONTAINER, _LAST_CONTAINER = 10, 100, 1000
#: The shortest dnsmasq grants. Deleted containers never give an address back, and a bench makes hundreds.
_LEASE = "2m"
_NAMESPACE_SECONDS = 10.0
_LINKS = Path("/sys/class/net")


@dataclass(frozen=True)
class LabNetwork:
    """One lab's bridge and subnet; `index` tells labs of one machine apart."""

    index: int

    @property
    def bridge(self) -> str:
        """The bridge's name."""
        return f"pflab{self.index}"

    @property
    def host(self) -> str:
        """The host's address on it, where nodes reach the control plane."""
        return self._address(1)

    @property
    def subnet(self) -> str:
        """All of its addresses."""
        return str(ip_network(f"{self.host}/{_PREFIX}", strict=False))

    def node_address(self, number: int) -> str:
        """A node's address, with its prefix length."""
        return f"{self._address(_FIRST_NODE + number)}/{_PREFIX}"

    def cable(self, number: int) -> str:
        """The host's end of a node's cable."""
        return f"pfl{self.index}n{number:02d}"

    def create(self) -> None:
        """Make the bridge. Raises EmbeddedError if its name or subnet is taken."""
        free_subnet(routed_networks(), [f"{self.host}/{_PREFIX}"])
        _ip(*bridge(self.bridge, self.host))
        _ip("address", "add", f"{self.host}/{_PREFIX}", "dev", self.bridge)
        _ip("link", "set", self.bridge, "up")

    def plug_in(self, number: int, pid: int) -> None:
        """Give the network namespace of process `pid` its cable, as `eth0`."""
        own = os.readlink("/proc/self/ns/net")
        # Until the process has a namespace of its own, the far end would land in the host's.
        wait_until("a network namespace", lambda: _namespace(pid) not in ("", own), _NAMESPACE_SECONDS)
        self.unplug(number)
        near = self.cable(number)
        _ip("link", "add", near, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        _ip("link", "set", near, "master", self.bridge, "up")

    def unplug(self, number: int) -> None:
        """Remove a node's cable, if it is still there."""
        _delete(self.cable(number))

    def cut(self, number: int) -> None:
        """Cut a node off from everything."""
        _ip("link", "set", self.cable(number), "down")

    def mend(self, number: int) -> None:
        """Undo `cut`."""
        _ip("link", "set", self.cable(number), "up")

    def remove(self) -> None:
        """Remove the bridge and every cable that is left."""
        for path in _LINKS.glob(f"pfl{self.index}n[0-9][0-9]"):
            _delete(path.name)
        _delete(self.bridge)

    def dhcp_command(self, leases: Path) -> tuple[str, ...]:
        """The one DHCP server of the lab's containers. No DNS, and no ping before each offer: that takes seconds."""
        addresses = f"{self._address(_FIRST_CONTAINER)},{self._address(_LAST_CONTAINER)},{_LEASE}"
        return (
            *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--port=0", "--no-ping"),
            *("--bind-interfaces", f"--interface={self.bridge}", "--except-interface=lo", "--dhcp-authoritative"),
            *("--dhcp-rapid-commit", f"--dhcp-range={addresses}", f"--dhcp-leasefile={leases}"),
        )

    def _address(self, number: int) -> str:
        return f"10.177.{_SIZE * self.index + number // 256}.{number % 256}"


def create_network() -> LabNetwork:
    """A new network that collides with no other lab and no route of this machine."""
    for index in range(MOST_LABS):
        network = LabNetwork(index)
        try:
            network.create()
        except EmbeddedError:
            continue  # another lab has it, perhaps since a moment ago: making the bridge decides
        return network
    raise NotReady(f"No free subnet for a lab: all {MOST_LABS} in 10.177.0.0/16 are taken.")


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""


def _delete(link: str) -> None:
    with contextlib.suppress(EmbeddedError):
        _ip("link", "delete", link)
    # The kernel removes the cable of a killed node by itself, so failing to delete it only matters if it stays.
    wait_until(f"the end of {link}", lambda: not (_LINKS / link).exists(), _NAMESPACE_SECONDS)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EmbeddedError(f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}")
