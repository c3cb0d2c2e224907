"""TCP ports of this machine: which are free, and who holds the others."""

import socket
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from pathfinder.embedded.errors import EmbeddedError

LOOPBACK = "127.0.0.1"
#: How far above the preferred port a free one is looked for.
SEARCH = 100
#: How long a port is nobody else's that was given to nobody in particular. Its service listens by then, or never will.
RESERVED_SECONDS = 120.0
#: State LISTEN in /proc/net/tcp.
_LISTEN = "0A"
#: What this process reserved: by port, for whom, since when, and the socket that tells other processes.
_reserved: dict[int, tuple[str, float, socket.socket]] = {}
_guard = threading.Lock()


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on `port` now."""
    with socket.socket() as probe:
        # A restarted service may bind while old connections linger; so may this probe.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def answers(port: int, host: str = LOOPBACK, timeout_seconds: float = 1.0) -> bool:
    """Whether somebody accepts connections on `port`."""
    try:
        socket.create_connection((host, port), timeout_seconds).close()
    except OSError:
        return False
    return True


def free_port(preferred: int, owner: str = "", avoid: Collection[int] = ()) -> int:
    """`preferred`, or the next port above it that is free, not to be avoided, and was not just given to somebody else.

    Whoever is to listen there takes a while to start, and may crash and start again, so the port is reserved, on the
    whole machine, while this process lives: for `owner`, who is given it again, or for `RESERVED_SECONDS` without one.
    """
    for port in range(preferred, preferred + SEARCH):
        if port not in avoid and is_free(port) and _reserve(port, owner):
            return port
    raise EmbeddedError(f"No free port on {LOOPBACK} between {preferred} and {preferred + SEARCH - 1}.")


def _reserve(port: int, owner: str) -> bool:
    now = time.monotonic()
    with _guard:
        for each, (former, since, sign) in list(_reserved.items()):
            if not former and now - since > RESERVED_SECONDS:
                del _reserved[each]
                sign.close()
        if port in _reserved:
            return bool(owner) and _reserved[port][0] == owner
        # An abstract name is seen by every process of this network namespace, as ports are, and ends with this one.
        sign = socket.socket(socket.AF_UNIX)
        try:
            sign.bind(f"\0pathfinder-port-{port}")
        except OSError:
            sign.close()
            return False
        _reserved[port] = owner, now, sign
        return True


def holder(port: int) -> str:
    """Who listens on `port`, as `name (pid N)`; `another process` where that cannot be seen."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for directory in Path("/proc").glob("[0-9]*"):
        if sockets & _open_files(directory):
            return f"{(directory / 'comm').read_text().strip()} (pid {directory.name})"
    return "another process"


def _open_files(process: Path) -> set[str]:
    links = set()
    # Processes and files of theirs come and go while we look, and others' are not shown to everybody.
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                links.add(str(descriptor.readlink()))
    return links


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:] if Path(table).exists() else ():
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rsplit(":", 1)[1], 16) == port:
                yield fields[9]
