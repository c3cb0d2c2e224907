"""The node's own view of its lease: until when it may run containers that would be replaced.

The agent writes it down for the warden, which is another process and acts when the agent does not.
"""

import contextlib
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import structlog

log = structlog.get_logger()

#: The share of the lease after which the node stops what would be replaced, so that it is stopped before that happens.
FENCE_SHARE = 2 / 3


def now() -> float:
    """Seconds on a clock that nobody can set, that runs while the machine sleeps, and that all its processes share."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Right:
    """The right to run a cluster's containers until `until`, on `now()`'s clock since the boot `boot`."""

    cluster_id: str
    until: float
    boot: str

    @property
    def overdue_seconds(self) -> float:
        """For how long it has not counted any more; below 0 while it does."""
        return now() - self.until if self.boot == boot_id() else math.inf


class Lease:
    """The right as the agent renews it. `path` is where the warden reads it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._right: Right | None = None
        #: How often the right was renewed that had run out.
        self.lapses = 0

    def renew(self, cluster_id: str, heard_at: float, lease_seconds: float) -> None:
        """The control plane heard at `heard_at`, or later, that this node lives."""
        self.lapses += self.lapsed
        self._right = Right(cluster_id, heard_at + lease_seconds * FENCE_SHARE, boot_id())
        try:
            write(self._path, self._right)
        except OSError as error:
            # No lease at all is better than an old one: for that, the warden would stop what may run on.
            log.error("no lease for the warden, which does nothing without", path=str(self._path), error=str(error))
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    @property
    def right(self) -> Right | None:
        """The right as it was last renewed, by an earlier process of this agent if not by this one."""
        return self._right or read(self._path)

    @property
    def lapsed(self) -> bool:
        """Whether this node had the right, and has it no more: it may have been given up meanwhile."""
        return self._right is not None and self._right.overdue_seconds >= 0

    @property
    def stands(self) -> bool:
        """Whether this node may start containers now."""
        return self._right is not None and self._right.overdue_seconds < 0


def boot_id() -> str:
    """Differs after each boot: the clock starts anew then."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def write(path: Path, right: Right) -> None:
    """Keep the right, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    try:
        draft.write_bytes(orjson.dumps(asdict(right)))
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def read(path: Path) -> Right | None:
    """The right last written; None where no agent ever had one."""
    try:
        return Right(**orjson.loads(path.read_bytes()))
    except (OSError, orjson.JSONDecodeError, TypeError):
        return None
