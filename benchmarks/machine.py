"""The machine that was measured."""

import os
import platform
import re
from pathlib import Path

from pathfinder.embedded.lxd_client import LxdClient


def describe(lxd: LxdClient) -> dict[str, str]:
    """Its name, as figures must carry it: without it they say nothing."""
    pool = lxd.get("profiles/default")["devices"]["root"]["pool"]
    return {
        "cpu": _cpu(Path("/proc/cpuinfo").read_text()),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "pool": str(lxd.get(f"storage-pools/{pool}")["driver"]),
        "lxd": str(lxd.get("")["environment"]["server_version"]),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def _cpu(cpuinfo: str) -> str:
    model = re.search(r"^model name\s*: (.+)$", cpuinfo, re.MULTILINE)
    return model[1] if model else platform.machine()
