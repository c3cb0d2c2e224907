"""Gives an LXD daemon what it lacks: a storage pool, a network, and a default profile that uses both.

What is there already is never changed; what is made is returned, so that `pathfinder clean` can remove exactly that.
"""

import ipaddress
import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathfinder.embedded.errors import EmbeddedError
from pathfinder.embedded.lxd_client import LxdClient

POOL, BRIDGE = "default", "lxdbr0"
#: Tried in turn for the bridge. LXD would look by itself, but gives up on machines without a way out.
SUBNETS = tuple(f"10.{second}.{third}.1/24" for second in (111, 147, 203) for third in range(8))
_LOOP_SHARE, _LOOP_LEAST_GIB, _LOOP_MOST_GIB = 5, 5, 30


@dataclass(frozen=True)
class Made:
    """What had to be made."""

    pool: str | None = None
    bridge: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """For the home's memory."""
        return {"pool": self.pool, "bridge": self.bridge}


def initialise(lxd: LxdClient, directory: Path) -> Made:
    """Make the pool and the bridge if there is none, and let the default profile use them.

    `directory` is the daemon's own, to size a pool by the space there.
    """
    pool = _first_pool(lxd) or ""
    bridge = _first_bridge(lxd) or ""
    made = Made(None if pool else make_pool(lxd, directory), None if bridge else _make_bridge(lxd))
    complete_profile(
        lxd,
        {
            "root": {"type": "disk", "path": "/", "pool": made.pool or pool},
            "eth0": {"type": "nic", "network": made.bridge or bridge},
        },
    )
    return made


def make_pool(lxd: LxdClient, directory: Path) -> str:
    """Make the best pool the kernel offers: zfs, btrfs (both in a sparse file), else plain directories.

    The first two copy on write, so that a 300 MiB image becomes a container at once, and can limit a root disk's size.
    """
    reasons = []
    for driver in pool_drivers(_kernel_filesystems()):
        config = {} if driver == "dir" else {"size": f"{loop_gib(shutil.disk_usage(directory).free)}GiB"}
        try:
            lxd.call("POST", "storage-pools", {"name": POOL, "driver": driver, "config": config})
        except EmbeddedError as refusal:
            reasons.append(str(refusal))  # tools without a working kernel side, or no loop devices
        else:
            return POOL
    raise EmbeddedError("; ".join(reasons))


def complete_profile(lxd: LxdClient, devices: dict[str, dict[str, str]]) -> None:
    """Add the devices the default profile lacks: a root disk, and a network card of any name."""
    profile = lxd.get("profiles/default")
    present = profile["devices"]
    has_root = any(device.get("path") == "/" for device in present.values())
    has_card = any(device["type"] == "nic" for device in present.values())
    missing = {
        name: device for name, device in devices.items() if not (has_root if device["type"] == "disk" else has_card)
    }
    if missing:
        lxd.call("PATCH", "profiles/default", {"devices": present | missing})


def pool_drivers(filesystems: Iterable[str]) -> list[str]:
    """The pool drivers to try, best first. Pure but for looking up the tools on PATH."""
    tools = {"zfs": "zpool", "btrfs": "mkfs.btrfs"}
    known = set(filesystems)
    return [driver for driver, tool in tools.items() if driver in known and shutil.which(tool)] + ["dir"]


def loop_gib(free_bytes: int) -> int:
    """Size of a pool in a sparse file: a fifth of the free space, but not too little and not absurdly much. Pure."""
    return max(_LOOP_LEAST_GIB, min(_LOOP_MOST_GIB, free_bytes // _LOOP_SHARE >> 30))


def free_subnet(taken: Iterable[str], candidates: Iterable[str] = SUBNETS) -> str:
    """The first of `candidates` (address with prefix) that overlaps no taken network. Pure."""
    networks = [ipaddress.ip_network(each, strict=False) for each in taken]
    for candidate in candidates:
        wanted = ipaddress.ip_interface(candidate).network
        if not any(wanted.version == other.version and wanted.overlaps(other) for other in networks):
            return candidate
    raise EmbeddedError("Every subnet Pathfinder would use for a bridge is taken on this machine.")


def routed_networks() -> list[str]:
    """Every IPv4 network this machine has a route to, the default route aside."""
    output = subprocess.run(["ip", "-j", "-4", "route", "show", "table", "all"], capture_output=True, check=True)
    routes: list[dict[str, Any]] = json.loads(output.stdout or b"[]")
    return [route["dst"] for route in routes if route["dst"] != "default"]


def _first_pool(lxd: LxdClient) -> str | None:
    pools: list[str] = [url.rsplit("/", 1)[1] for url in lxd.get("storage-pools")]
    return POOL if POOL in pools else next(iter(pools), None)


def _first_bridge(lxd: LxdClient) -> str | None:
    networks = lxd.get("networks?recursion=1")
    return next((each["name"] for each in networks if each["managed"] and each["type"] == "bridge"), None)


def _make_bridge(lxd: LxdClient) -> str:
    config = {"ipv4.address": free_subnet(routed_networks()), "ipv4.nat": "true", "ipv6.address": "none"}
    lxd.call("POST", "networks", {"name": BRIDGE, "type": "bridge", "config": config})
    return BRIDGE


def _kernel_filesystems() -> list[str]:
    # A module that is there but not loaded is listed only once it is. Minimal machines have no modprobe, nor modules.
    if modprobe := shutil.which("modprobe"):
        subprocess.run([modprobe, "-qa", "zfs", "btrfs"], check=False, capture_output=True)
    return [line.split()[-1] for line in Path("/proc/filesystems").read_text().splitlines()]
