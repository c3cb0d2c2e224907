"""Which nodes are to be declared DOWN, and when our own clocks are not to be trusted for that."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

Node = TypeVar("Node")

#: How far the database's clock may run from ours between two looks; both tick by the same second otherwise.
JUMP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Clocks:
    """Two clocks read together, in seconds: the database's, which leases are written in, and one that never jumps."""

    database: float
    steady: float


def judge(expired: Collection[Node], unread_heartbeats: int) -> list[Node]:
    """The nodes whose lease has ended and that are really silent.

    While heartbeats wait unread, the silence may be ours: nobody is judged until they are drained.
    """
    return [] if unread_heartbeats else list(expired)


def jumped(before: Clocks, now: Clocks) -> bool:
    """Whether the database's clock was set between two looks: every lease is wrong by as much, and worth nothing."""
    return abs((now.database - before.database) - (now.steady - before.steady)) > JUMP_SECONDS
