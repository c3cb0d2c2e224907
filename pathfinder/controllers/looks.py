"""What a node and its containers used lately: looks at counters become points of a series.

Kept in memory by the node's own agent: neither the control plane nor its database pays for what nobody looks at.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pathfinder.domain.instances import ContainerUsage, NodeUsage

#: Points kept of each container: an hour of looks every 15 s.
KEPT = 240

#: A rate over less is more noise than rate.
LEAST_SECONDS = 0.5


class Point(NamedTuple):
    """What was used at a moment of a clock that only grows: cores, bytes, and bytes in a second; None: not known."""

    at: float
    cores: float | None
    memory_bytes: int | None
    received: float | None
    sent: float | None
    disk_bytes: int | None


class Rates:
    """Makes points of looks: counters become rates since the look before."""

    def __init__(self) -> None:
        self._at = 0.0
        self._before: Mapping[str, ContainerUsage] = {}

    def points(self, at: float, used: Mapping[str, ContainerUsage]) -> dict[str, Point]:
        """One for each container; without rates for one that is new, or whose counters began anew."""
        seconds, before = at - self._at, self._before
        self._at, self._before = at, used
        return {id_: _point(at, one, before.get(id_), seconds) for id_, one in used.items()}


class History:
    """The last points, by the id of what they are about."""

    def __init__(self, kept: int = KEPT) -> None:
        self._looks: deque[Mapping[str, Point]] = deque(maxlen=kept)

    def note(self, look: Mapping[str, Point]) -> None:
        """Keep the points of one moment; the oldest go."""
        self._looks.append(look)

    def of(self, id_: str) -> list[Point]:
        """All that is kept about it, oldest first."""
        return [look[id_] for look in self._looks if id_ in look]


def together(at: float, points: Iterable[Point], machine: NodeUsage | None) -> Point:
    """What a node uses: cores and traffic are those of its containers, memory and disk those of the machine."""
    given = list(points)
    return Point(
        at,
        _sum([one.cores for one in given]),
        machine.memory_used_bytes if machine else None,
        _sum([one.received for one in given]),
        _sum([one.sent for one in given]),
        machine.disk_used_bytes if machine else None,
    )


def _point(at: float, now: ContainerUsage, before: ContainerUsage | None, seconds: float) -> Point:
    cores = received = sent = None
    if before is not None and seconds >= LEAST_SECONDS:
        cpu = now.cpu_seconds - before.cpu_seconds
        down, up = now.received_bytes - before.received_bytes, now.sent_bytes - before.sent_bytes
        if min(cpu, down, up) >= 0:
            cores, received, sent = cpu / seconds, down / seconds, up / seconds
    return Point(at, cores, now.memory_bytes, received, sent, now.disk_bytes)


def _sum(parts: Sequence[float | None]) -> float | None:
    """None where nothing is known of any part; of no parts it is nothing."""
    known = [one for one in parts if one is not None]
    return sum(known) if known or not parts else None


def told(point: Point, now: float) -> list[float | None]:
    """A point as a message has it: its age first, for no clock of a node is trusted."""
    age = round(now - point.at, 3)
    cores, received, sent = (
        None if one is None else round(one, 4) for one in (point.cores, point.received, point.sent)
    )
    return [age, cores, point.memory_bytes, received, sent, point.disk_bytes]


def heard(parts: object, now: float) -> Point | None:
    """The point that was told so, as of the clock that says `now`; None for what is none."""
    if not isinstance(parts, list) or len(parts) < len(Point._fields):
        return None
    age, *values = parts[: len(Point._fields)]
    if not _is_number(age) or not all(one is None or _is_number(one) for one in values):
        return None
    cores, memory, received, sent, disk = values
    return Point(now - age, cores, memory, received, sent, disk)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
