"""When our own clocks are not to be trusted for declaring nodes DOWN."""

from dataclasses import dataclass

#: How far the database's clock may run from ours between two looks; both tick by the same second otherwise.
JUMP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Clocks:
    """Two clocks read together, in seconds: the database's, which leases are written in, and one that never jumps."""

    database: float
    steady: float


def jumped(before: Clocks, now: Clocks) -> bool:
    """Whether the database's clock was set between two looks: every lease is wrong by as much, and worth nothing."""
    return abs((now.database - before.database) - (now.steady - before.steady)) > JUMP_SECONDS
