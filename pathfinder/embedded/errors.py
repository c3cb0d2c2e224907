"""What can go wrong with the services on this machine. Each message says what to do about it.

EmbeddedError
├── NotInstalled     a program is missing
├── PortTaken        somebody else listens where we were told to
├── NotReady         a service did not come up in time, or died; carries the end of its log
│   └── TimedOut     something took longer than it may
└── LxdImpossible    LXD cannot run on this machine, and why
"""

from pathfinder.domain.errors import PathfinderError


class EmbeddedError(PathfinderError):
    """Root of what can go wrong with an embedded service."""


class NotInstalled(EmbeddedError):
    """A program is missing on this machine."""

    def __init__(self, program: str) -> None:
        super().__init__(f"{program} is not installed; run `make install` as root.")


class PortTaken(EmbeddedError):
    """Somebody else listens on an address we were told to use."""


class NotReady(EmbeddedError):
    """A service did not come up in time, or died while it was waited for."""


class TimedOut(NotReady, TimeoutError):
    """Something took longer than it may."""


class LxdImpossible(EmbeddedError):
    """LXD cannot run here; the message is the reason, in one line."""
