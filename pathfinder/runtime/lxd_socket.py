"""Where LXD's (or Incus's) Unix socket is on this machine."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pathfinder.runtime.port import RuntimeUnreachable

#: Debian's and Ubuntu's package, the snap, and Incus, which answers the same calls.
KNOWN_SOCKETS = (
    Path("/var/lib/lxd/unix.socket"),
    Path("/var/snap/lxd/common/lxd/unix.socket"),
    Path("/var/lib/incus/unix.socket"),
)


def find_socket(explicit: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """The socket to use: `explicit`, else $LXD_DIR/unix.socket, else the first of `KNOWN_SOCKETS` that is there.

    Raises RuntimeUnreachable, naming every path that was tried.
    """
    tried = list(_candidates(explicit, environment))
    for path in tried:
        if path.is_socket():
            return path
    places = ", ".join(str(path) for path in tried)
    raise RuntimeUnreachable(
        f"LXD's socket is not there; tried {places}. Start LXD, or set PATHFINDER_LXD_SOCKET to its socket."
    )


def _candidates(explicit: Path | None, environment: Mapping[str, str]) -> Iterator[Path]:
    if explicit is not None:
        # Whoever names a socket means that one: driving another daemon instead would be a surprise.
        yield explicit
        return
    if directory := environment.get("LXD_DIR"):
        yield Path(directory) / "unix.socket"
    yield from KNOWN_SOCKETS
