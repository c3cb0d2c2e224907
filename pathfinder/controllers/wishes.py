"""What each metric of a deployment asks for: the ratio of what is to what shall be, careful with what is unknown."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Any

from pathfinder.controllers.forecasting import Forecast

#: A count that is above a whole number by no more than floating point is, is that number.
EPSILON = 1e-9

#: No metric asks for more; the bounds of the deployment are below it.
MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Count:
    """Replicas of a deployment: how many there shall be, and how many of those that stay are ready."""

    wanted: int
    ready: int


@dataclass(frozen=True, slots=True)
class PerReplica:
    """A value for each ready replica that is known, each of which shall be `target`."""

    name: str
    target: float
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Total:
    """One value for all replicas together, of which each can have `target`."""

    name: str
    target: float
    value: float


@dataclass(frozen=True, slots=True)
class Level:
    """One value that more replicas make smaller, and that shall be `target`."""

    name: str
    target: float
    value: float


@dataclass(frozen=True, slots=True)
class Floor:
    """So many replicas, whatever they do."""

    name: str
    replicas: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """A metric of which nothing is known now, and why."""

    name: str
    reason: str


Reading = PerReplica | Total | Level | Floor | Unknown


@dataclass(frozen=True, slots=True)
class Wish:
    """How many replicas a metric asks for, and by which numbers; None: it tells nothing now, for that reason."""

    name: str
    replicas: int | None
    value: float | None = None
    target: float | None = None
    measured: int | None = None
    reason: str | None = None

    def document(self) -> dict[str, Any]:
        """What is kept of it."""
        fields = ("replicas", "value", "target", "measured", "reason")
        return {"name": self.name} | {one: it for one in fields if (it := getattr(self, one)) is not None}


def wish(reading: Reading, count: Count, tolerance: float) -> Wish:
    """What a metric asks for. Within the tolerance it asks for what there shall be already."""
    match reading:
        case Unknown(name, reason):
            return Wish(name, None, reason=reason)
        case Floor(name, replicas):
            return Wish(name, replicas)
        case PerReplica(name, target, values):
            return _per_replica(name, target, values, count, tolerance)
        case Total(name, target, value) | Level(name, target, value):
            if not isfinite(value) or value < 0:
                return Wish(name, None, reason=f"{value:g} is no amount")
            share = value / target
            if isinstance(reading, Total):
                ratio = share / count.wanted if count.wanted else MOST
                replicas = _settled(ratio, share, count, tolerance)
            elif not count.ready:
                return Wish(name, None, value, target, reason="no replica is ready")
            else:
                # Those that are not ready yet will help; those that are do the work.
                replicas = _settled(share, share * (count.ready if share > 1 else count.wanted), count, tolerance)
            return Wish(name, replicas, value, target)


def _per_replica(name: str, target: float, values: Sequence[float], count: Count, tolerance: float) -> Wish:
    known = [one for one in values if isfinite(one) and one >= 0]
    if not known:
        reason = "nothing is known of its replicas yet" if count.ready else "no replica is ready"
        return Wish(name, None, target=target, measured=0, reason=reason)
    mean = sum(known) / len(known)
    # Of whom nothing is known is idle when there shall be more, and as busy as it shall be when there shall be fewer.
    others = max(count.wanted, count.ready, len(known)) - len(known)
    share = sum(known) / target + (others if mean < target else 0)
    replicas = _settled(share / (len(known) + others), share, count, tolerance)
    if (replicas - count.wanted) * (mean - target) < 0:
        replicas = count.wanted
    return Wish(name, replicas, mean, target, len(known))


def _settled(ratio: float, share: float, count: Count, tolerance: float) -> int:
    """`share` as a whole number, unless the ratio is about 1 or it would go the other way than the ratio says."""
    if abs(1 - ratio) <= tolerance + EPSILON:
        return count.wanted
    replicas = ceil(min(share, MOST) - EPSILON)
    return count.wanted if (replicas - count.wanted) * (ratio - 1) < 0 else replicas


def largest(wishes: Sequence[Wish]) -> Wish | None:
    """The one that asks for the most; None if none is known."""
    return max((one for one in wishes if one.replicas is not None), key=lambda one: one.replicas or 0, default=None)


def foreseen(name: str, target: float, found: Forecast) -> Wish:
    """What a metric will soon ask for: replicas among which the peak of its forecast is shared out."""
    replicas = ceil(min(max(found.peak, 0.0) / target, MOST) - EPSILON)
    reason = f"as at this time of earlier {found.season}s"
    return Wish(f"forecast of {name}", replicas, found.peak, target, reason=reason)
