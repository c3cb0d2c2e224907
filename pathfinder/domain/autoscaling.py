"""How a deployment is scaled by itself, as people write it: bodies within `DeploymentSpec`. Times in seconds."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from jsonpointer import JsonPointer, JsonPointerException
from pydantic import AfterValidator, Field, model_validator

from pathfinder.domain import names
from pathfinder.domain.fields import Body

MOST_REPLICAS = 9999
MOST_METRICS = 16

Count = Annotated[int, Field(ge=0, le=MOST_REPLICAS)]
Name = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([a-z0-9_.-]*[a-z0-9])?$")]
Target = Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)]
Percent = Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]
Window = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]
Period = Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)]
Secret = Annotated[str, Field(min_length=1, max_length=63), AfterValidator(names.secret)]
Url = Annotated[str, Field(max_length=2048), AfterValidator(names.web_address)]


def _cron(text: str) -> str:
    try:
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration):
        raise ValueError(
            f"{text[:80]!r} is not a time that ever comes; write minute, hour, day, month and weekday as cron does, "
            "like '0 8 * * MON-FRI'"
        ) from None
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ValueError, OSError, LookupError):
        raise ValueError(f"{text[:80]!r} is not a time zone; write one like UTC or Europe/Berlin") from None
    return text


def _pointer(text: str) -> str:
    try:
        JsonPointer(text)
    except JsonPointerException:
        raise ValueError(
            f"{text[:80]!r} is not a JSON pointer (RFC 6901); write one like /queues/0/length, or nothing for all of it"
        ) from None
    return text


class _Metric(Body):
    name: Name | None = Field(None, description="What explanations call it; its type if left out.")

    @property
    def called(self) -> str:
        """Its name, by which its history is kept."""
        return self.name or str(self.type)  # type: ignore[attr-defined] # every metric has a type


class CpuMetric(_Metric):
    """CPU time used, as a share of what each replica asked for; 100 is all of it."""

    type: Literal["cpu"]
    target_percent: Percent


class MemoryMetric(_Metric):
    """Memory used, as a share of what each replica asked for."""

    type: Literal["memory"]
    target_percent: Percent


class NetworkMetric(_Metric):
    """Bytes received and sent by each replica in a second."""

    type: Literal["network"]
    target_bytes_per_second: Target


class LoadMetric(_Metric):
    """The load average over a minute for each core of the nodes that its replicas are on; 1 is a node fully busy."""

    type: Literal["load"]
    target: Target


class _Elsewhere(_Metric):
    """A number that somebody else knows: either all of it, to be shared out among replicas, or one to be held."""

    url: Url
    secret: Secret | None = Field(
        None,
        exclude_if=lambda secret: secret is None,
        description="The name of a secret of the cluster, which `url` is sent as a bearer token.",
    )
    target_per_replica: Target | None = Field(None, description="So much of the number is for one replica.")
    target_value: Target | None = Field(None, description="The number itself shall be this, like a latency.")

    @model_validator(mode="after")
    def _one_target(self) -> "_Elsewhere":
        if (self.target_per_replica is None) == (self.target_value is None):
            raise ValueError("give one of target_per_replica and target_value")
        return self


class PrometheusMetric(_Elsewhere):
    """The number that a query of a Prometheus gives, whose address `url` is: a scalar, or one series."""

    type: Literal["prometheus"]
    query: Annotated[str, Field(min_length=1, max_length=8192)]


class HttpMetric(_Elsewhere):
    """The number at a JSON pointer in what a GET of `url` answers."""

    type: Literal["http"]
    pointer: Annotated[str, Field(max_length=1024), AfterValidator(_pointer)] = ""


class ScheduleMetric(_Metric):
    """So many replicas at least, from each time that `cron` names on, for so long."""

    type: Literal["schedule"]
    cron: Annotated[str, Field(max_length=255), AfterValidator(_cron)]
    duration_seconds: Annotated[float, Field(ge=60, le=604_800, allow_inf_nan=False)]
    replicas: Annotated[int, Field(ge=1, le=MOST_REPLICAS)]
    time_zone: Annotated[str, Field(max_length=64), AfterValidator(_zone)] = "UTC"


#: What replicas use, as their agents tell it; nothing is known of a deployment that has none.
UsageMetric = CpuMetric | MemoryMetric | NetworkMetric | LoadMetric
Metric = Annotated[UsageMetric | PrometheusMetric | HttpMetric | ScheduleMetric, Field(discriminator="type")]


class Rate(Body):
    """A bound of how fast it may go: so many replicas, or percent of those there were, within a period."""

    replicas: Annotated[int, Field(ge=1, le=MOST_REPLICAS)] | None = None
    percent: Percent | None = None
    period_seconds: Period = 60.0

    @model_validator(mode="after")
    def _one_amount(self) -> "Rate":
        if (self.replicas is None) == (self.percent is None):
            raise ValueError("give one of replicas and percent")
        return self


class Behaviour(Body):
    """How carefully it goes in one direction."""

    stabilisation_seconds: Window = Field(description="The most cautious wish of this time is followed.")
    cooldown_seconds: Window = Field(0.0, description="So long after any change nothing is changed this way.")
    rates: list[Rate] = Field(default_factory=list, max_length=8, description="Bounds of speed; none if empty.")
    select: Literal["most", "least"] = Field("most", description="Which of several bounds holds.")
    enabled: bool = True


class Up(Behaviour):
    """Growing: at once, but at most doubling, or by 4, within 15 seconds."""

    stabilisation_seconds: Window = 0.0
    rates: list[Rate] = Field(
        default_factory=lambda: [Rate(percent=100, period_seconds=15), Rate(replicas=4, period_seconds=15)],
        max_length=8,
    )


class Down(Behaviour):
    """Shrinking: only once it was enough for five minutes."""

    stabilisation_seconds: Window = 300.0


class Predictive(Body):
    """Whether it is scaled ahead of the load, by a forecast from what was recorded. Never below what is needed now."""

    enabled: bool = True
    ahead_seconds: Annotated[float, Field(ge=60, le=7200, allow_inf_nan=False)] = Field(
        600.0, description="So long before it is needed: what a new replica takes until it serves."
    )


class Autoscaling(Body):
    """Between `min` and `max` replicas, as many as the metric that asks for the most."""

    min: Count = 1
    max: Annotated[int, Field(ge=1, le=MOST_REPLICAS)]
    metrics: list[Metric] = Field(min_length=1, max_length=MOST_METRICS)
    tolerance: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = Field(
        0.1, description="Within this share of its target a metric asks for no change."
    )
    up: Up = Field(default_factory=Up)
    down: Down = Field(default_factory=Down)
    predictive: Predictive | None = Field(None, description="Off if left out.")

    @model_validator(mode="after")
    def _consistent(self) -> "Autoscaling":
        if self.min > self.max:
            raise ValueError(f"min is {self.min}, which is above max, {self.max}")
        called = [one.called for one in self.metrics]
        if twice := {one for one in called if called.count(one) > 1}:
            raise ValueError(f"several metrics are called {min(twice)!r}; give each a name of its own")
        if self.min == 0 and not any(wakes(one) for one in self.metrics):
            raise ValueError(
                "min is 0, but no metric tells anything of a deployment without replicas: give it a schedule, or a "
                "prometheus or http metric with target_per_replica, or let min be 1"
            )
        return self


def secrets(rules: Autoscaling) -> dict[int, str]:
    """The secrets that metrics name, by the metrics' indexes."""
    return {
        index: metric.secret
        for index, metric in enumerate(rules.metrics)
        if isinstance(metric, PrometheusMetric | HttpMetric) and metric.secret is not None
    }


def wakes(metric: Metric) -> bool:
    """Whether that metric can ask for the first replica: what replicas use, or a ratio of it, says nothing of none."""
    return isinstance(metric, ScheduleMetric) or (
        isinstance(metric, PrometheusMetric | HttpMetric) and metric.target_per_replica is not None
    )
