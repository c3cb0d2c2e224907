"""What processes take of the machine, as the kernel says: memory and processor time, their children's included."""

import os
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
#: In `/proc/PID/stat`, after the name: the parent, and the time in user and in kernel mode, of a process and of its
#: children that ended.
_PARENT, _TIMES = 1, slice(11, 15)


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*"):
        if stat := _stat(int(path.name)):
            children[int(stat[_PARENT])].append(int(path.name))
    found = [pid]
    for one in found:  # it grows while it is walked
        found += children[one]
    return found


def memory_bytes(pid: int) -> int:
    """The memory of a process and its descendants. What several share counts once: each has its part of it."""
    return sum(_proportional(one) for one in family(pid))


def peak_bytes(pid: int) -> int:
    """The most memory that a process and its descendants ever had; what several share counts for each of them."""
    return sum(_kilobytes(one, "status", "VmHWM:") << 10 for one in family(pid))


def cpu_seconds(pid: int) -> float:
    """The processor time of a process and its descendants so far; of those that ended, too."""
    return sum(sum(map(int, _stat(one)[_TIMES])) for one in family(pid)) / _TICK


def spent(pids: Mapping[str, int]) -> dict[str, float]:
    """The same of several processes, by name."""
    return {name: cpu_seconds(pid) for name, pid in pids.items()}


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _proportional(pid: int) -> int:
    return _kilobytes(pid, "smaps_rollup", "Pss:") << 10


def _kilobytes(pid: int, file: str, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)


def connections_to(port: int) -> int:
    """The established TCP connections that a server on this port of this machine holds."""
    established, wanted = "01", f"{port:04X}"
    return sum(fields[1].endswith(f":{wanted}") and fields[3] == established for fields in _sockets())


def ports_of(pid: int) -> set[int]:
    """The ports of this machine on which a process and its descendants hold TCP connections."""
    held = set()
    for path in (path for one in family(pid) for path in Path(f"/proc/{one}/fd").glob("*")):
        with suppress(OSError):
            held.add(os.readlink(path))
    return {int(fields[1].rpartition(":")[2], 16) for fields in _sockets() if f"socket:[{fields[9]}]" in held}


def _sockets() -> list[list[str]]:
    return [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
