"""Named points where a process can be made to die, so that a test can prove that dying there loses nothing.

`PATHFINDER_FAILPOINT=NAME:FILE` makes the first process that comes by point NAME kill itself with SIGKILL, having made
FILE; who finds FILE passes. It is for tests alone, and no setting: set it nowhere else. Unset, a point costs one
comparison.
"""

import os
import signal
from pathlib import Path

_ARMED, _, _MARKER = os.environ.get("PATHFINDER_FAILPOINT", "").partition(":")


def point(name: str) -> None:
    """Die here if that is asked for and has not happened yet."""
    if name == _ARMED:
        _die_once(Path(_MARKER))


def _die_once(marker: Path) -> None:
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
