"""A load that was recorded, replayed through scaling rules: how many replicas there would have been.

The load is what all replicas together have to do, in the unit of its metric: 350 of a `cpu` metric keeps three and a
half replicas fully busy. It stays as it is until the next row says otherwise.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from math import ceil

from pathfinder.controllers.autoscale import Memory, Seen, bounded, decide
from pathfinder.controllers.forecasting import SLOT_SECONDS, Forecast, forecast
from pathfinder.controllers.schedules import floor
from pathfinder.controllers.wishes import EPSILON, Count, Level, PerReplica, Reading, Total, Unknown, Wish, foreseen
from pathfinder.domain.autoscaling import (
    Autoscaling,
    CpuMetric,
    HttpMetric,
    MemoryMetric,
    Metric,
    NetworkMetric,
    PrometheusMetric,
    ScheduleMetric,
)


@dataclass(frozen=True, slots=True)
class Trace:
    """Loads by the name of their metric, at moments in seconds that only grow."""

    at: tuple[float, ...]
    loads: Mapping[str, tuple[float, ...]]

    def load(self, name: str, at: float) -> float | None:
        """What it was then; None where the trace has no such metric."""
        if name not in self.loads:
            return None
        return self.loads[name][max(bisect_right(self.at, at) - 1, 0)]


@dataclass(frozen=True, slots=True)
class Course:
    """How it went, look by look: the replicas wanted, those ready, and those that the load needed."""

    at: tuple[float, ...]
    wanted: tuple[int, ...]
    ready: tuple[int, ...]
    needed: tuple[float, ...]
    step_seconds: float

    @property
    def changes(self) -> int:
        """How often the number was changed."""
        return sum(a != b for a, b in pairwise(self.wanted))

    @property
    def reversals(self) -> int:
        """How often it went down after it had gone up, or up after it had gone down."""
        steps = [b > a for a, b in pairwise(self.wanted) if a != b]
        return sum(a is not b for a, b in pairwise(steps))

    @property
    def short_seconds(self) -> float:
        """How long fewer were ready than the load needed."""
        return sum(r < n - EPSILON for r, n in zip(self.ready, self.needed, strict=True)) * self.step_seconds

    @property
    def replica_seconds(self) -> float:
        """What was paid for."""
        return sum(self.wanted) * self.step_seconds


#: From a moment, the replicas that were asked for so far and those ready: how many there shall be.
Rule = Callable[[float, Count], int]


def target(metric: Metric) -> float | None:
    """What one replica shall have of a load; None where no load is shared out."""
    match metric:
        case CpuMetric() | MemoryMetric():
            return metric.target_percent
        case NetworkMetric():
            return metric.target_bytes_per_second
        case PrometheusMetric() | HttpMetric():
            return metric.target_per_replica or metric.target_value
        case ScheduleMetric():
            return None
    return metric.target


def run(
    rules: Autoscaling, trace: Trace, rule: Rule, *, step_seconds: float = 15.0, ready_after_seconds: float = 30.0
) -> Course:
    """Play the trace. A replica is ready so long after it was asked for; one that is given up is gone at once."""
    begins = trace.at[0]
    wanted = bounded(rules, ceil(_needed(rules, trace, begins)))
    asked = [begins - ready_after_seconds] * wanted  # when each of them was asked for, the newest last
    at = begins
    course: list[tuple[float, int, int, float]] = []
    while at <= trace.at[-1]:
        ready = sum(at - one >= ready_after_seconds for one in asked)
        course.append((at, wanted, ready, _needed(rules, trace, at)))
        wanted = rule(at, Count(wanted, ready))
        asked = asked[:wanted] + [at] * (wanted - len(asked))
        at += step_seconds
    ats, wants, readies, needs = zip(*course, strict=True)
    return Course(ats, wants, readies, needs, step_seconds)


def by_rules(rules: Autoscaling, trace: Trace) -> Rule:
    """As Pathfinder would have decided."""
    memory: Memory | None = None
    foresight = _Foresight(rules, trace) if rules.predictive and rules.predictive.enabled else None

    def rule(at: float, count: Count) -> int:
        nonlocal memory
        memory = memory or Memory.fresh(at, count.wanted)
        readings = tuple(_reading(one, trace, at, count) for one in rules.metrics)
        found = decide(rules, memory, Seen(at, count, readings, foresight.wish(at) if foresight else None))
        memory = found.memory
        return found.replicas

    return rule


def by_plain_ratio(rules: Autoscaling, trace: Trace) -> Rule:
    """As the ratio alone would have decided: no tolerance, no windows, no rates; only the bounds."""

    def rule(at: float, count: Count) -> int:
        return bounded(rules, ceil(_shares(rules, trace, at) - EPSILON))

    return rule


class _Foresight:
    """Forecasts from what of the trace was before, made anew in each slot."""

    def __init__(self, rules: Autoscaling, trace: Trace) -> None:
        self._rules = rules
        self._points = {name: _peaks(trace.at, load) for name, load in trace.loads.items()}
        self._slot: int | None = None
        self._wish: Wish | None = None

    def wish(self, at: float) -> Wish | None:
        """The largest of the forecasts' wishes; None if there is no forecast."""
        if (slot := int(at // SLOT_SECONDS)) != self._slot:
            self._slot = slot
            wishes = [one for metric in self._rules.metrics if (one := self._of(metric, at))]
            self._wish = max(wishes, key=lambda one: one.replicas or 0, default=None)
        return self._wish

    def _of(self, metric: Metric, at: float) -> Wish | None:
        shared, predictive = target(metric), self._rules.predictive
        if predictive is None or shared is None or metric.called not in self._points:
            return None
        # It looks at no slot that is not over yet.
        found = forecast(self._points[metric.called], at, predictive.ahead_seconds)
        return foreseen(metric.called, shared, found) if isinstance(found, Forecast) else None


def _peaks(at: Sequence[float], load: Sequence[float]) -> list[tuple[float, float]]:
    """The greatest load of each slot."""
    peaks: dict[float, float] = {}
    for moment, value in zip(at, load, strict=True):
        slot = moment // SLOT_SECONDS * SLOT_SECONDS
        peaks[slot] = max(value, peaks.get(slot, 0.0))
    return list(peaks.items())


def _shares(rules: Autoscaling, trace: Trace, at: float) -> float:
    """Replicas that the load keeps exactly as busy as they shall be, by the metric that needs the most."""
    shares = [0.0]
    for metric in rules.metrics:
        if isinstance(metric, ScheduleMetric):
            shares.append(floor(metric, datetime.fromtimestamp(at, UTC)).replicas)
        elif (load := trace.load(metric.called, at)) is not None and (shared := target(metric)) is not None:
            shares.append(load / shared)
    return max(shares)


def _needed(rules: Autoscaling, trace: Trace, at: float) -> float:
    """Replicas without which each would be busier than its target and the tolerance allow, within the bounds."""
    return min(_shares(rules, trace, at) / (1 + rules.tolerance), rules.max)


def _reading(metric: Metric, trace: Trace, at: float, count: Count) -> Reading:
    if isinstance(metric, ScheduleMetric):
        return floor(metric, datetime.fromtimestamp(at, UTC))
    load, shared = trace.load(metric.called, at), target(metric)
    if load is None or shared is None:
        return Unknown(metric.called, "the trace has no such column")
    if isinstance(metric, PrometheusMetric | HttpMetric):
        if metric.target_value is None:
            return Total(metric.called, shared, load)
        return Level(metric.called, shared, load / count.ready) if count.ready else Unknown(metric.called, "none ready")
    return PerReplica(metric.called, shared, (load / count.ready,) * count.ready if count.ready else ())


def read(rows: Sequence[Mapping[str, str]]) -> Trace:
    """A trace from rows of texts: `seconds`, and a column for each metric. ValueError says which row is wrong."""
    if not rows:
        raise ValueError("it has no rows; write a heading like seconds,cpu and rows like 0,120")
    names = [one for one in rows[0] if one != "seconds"]
    if "seconds" not in rows[0] or not names:
        raise ValueError("its heading must have seconds and the name of a metric, like seconds,cpu")
    at: list[float] = []
    loads: dict[str, list[float]] = {name: [] for name in names}
    for number, row in enumerate(rows, 2):
        moment = _number(row, "seconds", number)
        if at and moment <= at[-1]:
            raise ValueError(f"line {number}: {moment:g} seconds is not after the row before it")
        at.append(moment)
        for name in names:
            loads[name].append(_number(row, name, number))
    return Trace(tuple(at), {name: tuple(values) for name, values in loads.items()})


def _number(row: Mapping[str, str], name: str, line: int) -> float:
    try:
        value = float(row[name])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"line {line}: {name} is {row.get(name)!r}, which is no number") from None
    if not 0 <= value < float("inf"):
        raise ValueError(f"line {line}: {name} is {value:g}; write a number that is not below 0")
    return value
