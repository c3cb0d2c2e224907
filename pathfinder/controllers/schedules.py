"""What a schedule asks for at a moment."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from pathfinder.controllers.wishes import Floor
from pathfinder.domain.autoscaling import ScheduleMetric


def floor(metric: ScheduleMetric, now: datetime) -> Floor:
    """So many replicas while one of its spans lasts, else none. `now` has a time zone; durations are in real time."""
    # It looks for what is strictly before: the very second of a start is in its span.
    local = now.astimezone(ZoneInfo(metric.time_zone)).replace(microsecond=0) + timedelta(seconds=1)
    try:
        start = next(CronSim(metric.cron, local, reverse=True))
    except StopIteration:
        return Floor(metric.called, 0)
    passed = (now - start.astimezone(UTC)).total_seconds()
    return Floor(metric.called, metric.replicas if passed < metric.duration_seconds else 0)
