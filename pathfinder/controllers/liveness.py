"""When our own clocks are not to be trusted for declaring nodes DOWN, and when DOWN nodes are called back."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

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


#: A call that was not answered for so long got lost.
LOST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Caller:
    """A DOWN node that is heard. `generation` grows with each registration; a `new` one never was READY."""

    id: UUID
    generation: int
    new: bool


class Calls:
    """Which DOWN nodes that are heard are to be called back now: to register anew, and to send their full list.

    One call at a time: the next is due once the node has registered for the last, and `apart` seconds later at least.
    What cannot be removed from a node would otherwise have it register, list and be called again without a pause. A new
    node is about to send its list anyway.
    """

    def __init__(self, apart: float) -> None:
        self._apart = apart
        self._called: dict[UUID, tuple[int | None, float]] = {}

    def due(self, heard: Sequence[Caller], now: float) -> set[UUID]:
        """Those of them that are to be called at the moment `now`, in seconds; they count as called."""
        self._called = {id_: (it, at) for id_, (it, at) in self._called.items() if now - at < LOST_SECONDS}
        due = set()
        for one in heard:
            last = self._called.get(one.id)
            if last is None and one.new:
                self._called[one.id] = None, now
            elif last is None or (one.generation != last[0] and now - last[1] >= self._apart):
                self._called[one.id] = one.generation, now
                due.add(one.id)
        return due

    def forget(self) -> None:
        """Whoever counts as called may never have been."""
        self._called = {}
