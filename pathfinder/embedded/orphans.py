"""Processes that outlived the supervisord that started them, as after `kill -9` of it.

supervisord puts its own address and the program's name into the environment of what it starts, and children inherit
them; so each process tells whose it is, and nobody else's process is ever touched.
"""

import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pathfinder.embedded.supervisor import Supervisor

POLL_SECONDS = 0.05
#: A daemon's own containers are ended by asking it; this is for what cannot be asked any more.
_MONITOR = b"[lxc monitor] "


@dataclass(frozen=True)
class Ending:
    """How a program is asked to end."""

    signal: int
    seconds: float
    #: Whether its children are asked, too, and waited for: a shell script ends before what it started has.
    with_children: bool = False


@dataclass(frozen=True)
class Orphan:
    """A process of ours without its supervisord."""

    pid: int
    parent: int
    program: str


def find(supervisor_url: str) -> list[Orphan]:
    """Every process started, directly or not, by the supervisord at that address, but not this one and its parents."""
    ours = _ancestry(os.getpid())
    mark = f"SUPERVISOR_SERVER_URL={supervisor_url}"
    found = []
    for pid in _pids():
        environment = _environment(pid)
        if mark in environment and pid not in ours and not _is_zombie(pid):
            names = [each.split("=", 1)[1] for each in environment if each.startswith("SUPERVISOR_PROCESS_NAME=")]
            found.append(Orphan(pid, _parent(pid), names[0] if names else ""))
    return found


def end(supervisor: Supervisor, endings: Mapping[str, Ending]) -> set[str]:
    """End all orphans of a supervisord that does not run: politely in the order of `endings`, then by force.

    Returns the programs that there were.
    """
    programs = {each.program for each in find(supervisor.url)}
    for program, ending in endings.items():
        family = {each.pid: each for each in find(supervisor.url) if each.program == program}
        heads = [pid for pid, each in family.items() if each.parent not in family]
        asked = list(family) if ending.with_children else heads
        _signal(asked, ending.signal)
        _wait_gone(asked, ending.seconds)
    rest = [each.pid for each in find(supervisor.url)]
    _signal(rest, signal.SIGKILL)
    _wait_gone(rest, 5)
    return programs


def end_containers(lxd_directory: Path) -> None:
    """End containers whose LXD died: their monitors, named after LXD's directory, and everything below these."""
    mark = _MONITOR + str(lxd_directory / "containers").encode() + b" "
    monitors = [pid for pid in _pids() if _command(pid).startswith(mark)]
    _signal(_with_descendants(monitors), signal.SIGKILL)


def _with_descendants(roots: Iterable[int]) -> list[int]:
    children: dict[int, list[int]] = {}
    for pid in _pids():
        children.setdefault(_parent(pid), []).append(pid)
    found, queue = [], list(roots)
    while queue:
        found.append(queue.pop())
        queue += children.get(found[-1], [])
    return found


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _wait_gone(pids: Iterable[int], seconds: float) -> None:
    deadline, left = time.monotonic() + seconds, set(pids)
    while left and time.monotonic() < deadline:
        left = {pid for pid in left if Path(f"/proc/{pid}").exists() and not _is_zombie(pid)}
        time.sleep(POLL_SECONDS if left else 0)


def _ancestry(pid: int) -> set[int]:
    line = set()
    while pid:
        line.add(pid)
        pid = _parent(pid)
    return line


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def _environment(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _stat(pid: int) -> list[str]:
    try:
        # The name in parentheses may hold anything, spaces included; fields follow its last parenthesis.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return ["Z", "0"]


def _is_zombie(pid: int) -> bool:
    return _stat(pid)[0] == "Z"


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])
