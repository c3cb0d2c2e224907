"""The machine's LXD: found where it runs, started where no init system does, set up where it is bare."""

import os
import shutil
import subprocess
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from pathfinder.embedded.errors import LxdImpossible, NotReady, TimedOut
from pathfinder.embedded.home import Home
from pathfinder.embedded.lxd_client import connect, is_trusted
from pathfinder.embedded.lxd_setup import initialise
from pathfinder.embedded.machine import has_systemd, read_facts, why_no_lxd
from pathfinder.embedded.orphans import end_containers
from pathfinder.embedded.program import Program
from pathfinder.embedded.supervisor import Supervisor, wait_until
from pathfinder.runtime.lxd_socket import KNOWN_SOCKETS

DIRECTORY = Path("/var/lib/lxd")
FILES = Path("/var/lib/lxcfs")
READY_SECONDS = 50.0
MADE_KEY = "lxd.made"
SOCKET = DIRECTORY / "unix.socket"


def find_lxd() -> Path | None:
    """The socket of an LXD or Incus that answers and lets us in."""
    return next((socket for socket in KNOWN_SOCKETS if is_trusted(socket)), None)


def ensure_lxd(home: Home | None = None, say: Callable[[str], None] = lambda _: None) -> Path:
    """The socket of a running LXD with a pool, a bridge and a default profile.

    Whatever is missing is started and made; `say` hears what is being done. Raises LxdImpossible with the reason.
    """
    home = home or Home.default()
    socket = find_lxd() or _start(home, say)
    with connect(socket) as lxd:
        made = initialise(lxd, DIRECTORY if DIRECTORY.is_dir() else Path("/"))
    if made.pool or made.bridge:
        before = home.recall(MADE_KEY) or {}
        home.remember(MADE_KEY, before | {key: name for key, name in made.as_json().items() if name})
    return socket


def programs(environment: Mapping[str, str] | None = None) -> list[Program]:
    """LXD and what it needs, under supervision, in start order.

    LXD's SIGPWR is "the machine goes down": it stops its containers and networks, then itself.
    """
    daemon = Program(
        "lxd",
        ("lxd", "--group", "lxd"),
        priority=210,
        environment=environment or {},
        stop_signal="PWR",
        stop_seconds=60,
    )
    # One that was killed leaves a mount that nothing can be mounted over: without this it would never come back.
    files = ("sh", "-c", f"umount -l {FILES} 2>/dev/null; exec lxcfs -f {FILES}")
    return [Program("lxcfs", files, priority=200), daemon] if shutil.which("lxcfs") else [daemon]


def has_files() -> bool:
    """Whether an lxcfs serves its files: the mount of one that was killed is still there, and answers nothing."""
    return os.path.ismount(FILES)


def stop_lxd(supervisor: Supervisor) -> None:
    """Stop the LXD that we started, with its containers, and leave no mount of it behind. Another one is left alone."""
    ours = [each for each in ("lxd", "lxcfs") if supervisor.is_running(each)]
    for name in ours:
        supervisor.stop(name)
    remove_traces(ours)


def remove_traces(ours: Collection[str]) -> None:
    """Remove what programs of ours (`lxd`, `lxcfs`) left when they died: containers without their LXD, and mounts."""
    if "lxd" in ours:
        end_containers(DIRECTORY)
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        point = Path(line.split()[1])
        if ("lxcfs" in ours and point == FILES) or ("lxd" in ours and DIRECTORY in point.parents):
            subprocess.run(["umount", "-l", str(point)], check=False, capture_output=True)


def _start(home: Home, say: Callable[[str], None]) -> Path:
    if reason := why_no_lxd(read_facts()):
        raise LxdImpossible(reason)
    if has_systemd():
        say("starting LXD (systemctl)")
        subprocess.run(["systemctl", "start", "lxd"], check=False, capture_output=True)
    else:
        say("starting LXD")
        _supervise(home)
    try:
        wait_until("LXD", lambda: find_lxd() is not None, READY_SECONDS)
    except TimedOut:
        raise NotReady(f"LXD did not answer within {READY_SECONDS:.0f} s; see {home.logs}/lxd.log.") from None
    return find_lxd() or SOCKET


def _supervise(home: Home) -> None:
    supervisor = Supervisor(home)
    supervisor.ensure()
    wanted = [each for each in programs() if each.name != "lxcfs" or not has_files()]
    supervisor.define(wanted)
    for program in wanted:
        supervisor.start(program.name)
        if program.name == "lxcfs":
            supervisor.wait("lxcfs", has_files, READY_SECONDS)
    supervisor.wait("lxd", lambda: is_trusted(SOCKET), READY_SECONDS)
