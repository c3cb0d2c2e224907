"""TCP ports of this machine: which are free, and who holds the others."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pathfinder.embedded.errors import EmbeddedError

LOOPBACK = "127.0.0.1"
#: How far above the preferred port a free one is looked for.
SEARCH = 100
#: State LISTEN in /proc/net/tcp.
_LISTEN = "0A"


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


def free_port(preferred: int) -> int:
    """`preferred`, or the next port above it that is free."""
    for port in range(preferred, preferred + SEARCH):
        if is_free(port):
            return port
    raise EmbeddedError(f"No free port on {LOOPBACK} between {preferred} and {preferred + SEARCH - 1}.")


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
