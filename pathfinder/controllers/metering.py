"""What the metrics of a deployment say, out of what its replicas use."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pathfinder.controllers.schedules import floor
from pathfinder.controllers.usage import Use
from pathfinder.controllers.wishes import Count, Level, PerReplica, Reading, Total, Unknown
from pathfinder.domain.autoscaling import (
    CpuMetric,
    LoadMetric,
    MemoryMetric,
    Metric,
    NetworkMetric,
    ScheduleMetric,
    UsageMetric,
)


@dataclass(frozen=True, slots=True)
class Metered:
    """A ready replica: what it asked for (0: nothing), what it uses, and how loaded its node is; None: not known."""

    cpu_millicores: int
    memory_bytes: int
    use: Use | None
    node_load: float | None


def reading(metric: Metric, ready: Iterable[Metered], elsewhere: Mapping[str, Reading], now: datetime) -> Reading:
    """What a metric says now. `elsewhere` are those that others told, by their names."""
    if isinstance(metric, ScheduleMetric):
        return floor(metric, now)
    if isinstance(metric, UsageMetric):
        return _used(metric, list(ready))
    return elsewhere.get(metric.called, Unknown(metric.called, "was not asked for"))


def _used(metric: UsageMetric, ready: list[Metered]) -> Reading:
    match metric:
        case CpuMetric():
            if any(not one.cpu_millicores for one in ready):
                return Unknown(
                    metric.called, "its replicas ask for no CPU, so no share of it is known; give template.cpu"
                )
            return _each(metric.called, metric.target_percent, ready, _cpu)
        case MemoryMetric():
            if any(not one.memory_bytes for one in ready):
                return Unknown(
                    metric.called, "its replicas ask for no memory, so no share is known; give template.memory"
                )
            return _each(metric.called, metric.target_percent, ready, _memory)
        case NetworkMetric():
            return _each(metric.called, metric.target_bytes_per_second, ready, _network)
        case LoadMetric():
            return _each(metric.called, metric.target, ready, lambda it: it.node_load)


def _cpu(it: Metered) -> float | None:
    return None if it.use is None else 100_000 * it.use.cores / it.cpu_millicores


def _memory(it: Metered) -> float | None:
    return None if it.use is None else 100 * it.use.memory_bytes / it.memory_bytes


def _network(it: Metered) -> float | None:
    return None if it.use is None else it.use.bytes_per_second


def _each(name: str, target: float, ready: list[Metered], of: Callable[[Metered], float | None]) -> PerReplica:
    return PerReplica(name, target, tuple(value for one in ready if (value := of(one)) is not None))


def demand(reading_: Reading, count: Count) -> float | None:
    """All that is to be shared out among replicas, which is what is recorded and foretold; None where nothing is.

    Of ready replicas whose value is not known it is taken that they do as much as the others.
    """
    match reading_:
        case PerReplica(values=values):
            return sum(values) / len(values) * max(count.ready, len(values)) if values else None
        case Total(value=value):
            return value
        case Level() | Unknown():
            return None
    return None
