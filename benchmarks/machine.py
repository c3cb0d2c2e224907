"""The machine that was measured."""

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path

from pathfinder.embedded.lxd_client import LxdClient


def describe() -> dict[str, str]:
    """Its name, as figures must carry it: without it they say nothing."""
    return {
        "cpu": _cpu(Path("/proc/cpuinfo").read_text()),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "load before": load(),
    }


def describe_lxd(lxd: LxdClient) -> dict[str, str]:
    """The same of its LXD."""
    pool = lxd.get("profiles/default")["devices"]["root"]["pool"]
    return {
        "pool": str(lxd.get(f"storage-pools/{pool}")["driver"]),
        "lxd": str(lxd.get("")["environment"]["server_version"]),
    }


def load() -> str:
    """How many processes wanted a core in the last minute."""
    return f"{os.getloadavg()[0]:.2f}"


def in_words(machine: Mapping[str, str]) -> str:
    """In one line."""
    return ", ".join(f"{name}: {value}" for name, value in machine.items())


def _cpu(cpuinfo: str) -> str:
    model = re.search(r"^model name\s*: (.+)$", cpuinfo, re.MULTILINE)
    return model[1] if model else platform.machine()
