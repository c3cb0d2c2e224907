"""What clients get of scaling: the response bodies of the HTTP API."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field


class MetricWish(BaseModel):
    """What a metric, or its forecast, asked for, and by which numbers."""

    name: str
    replicas: int | None = Field(None, description="null: it told nothing, for that reason.")
    value: float | None = None
    target: float | None = None
    measured: int | None = Field(None, description="Ready replicas whose value was known.")
    reason: str | None = None


class ScalingDecision(BaseModel):
    """A decision that changed the number of replicas, or why it was not changed."""

    at: datetime
    before: int
    after: int
    asked: int | None = Field(None, description="How many were asked for, within the bounds.")
    reason: str = ""
    held: str | None = Field(None, description="What was in the way of more or fewer.")
    failed: str | None = Field(None, description="Why it could not be done.")
    metrics: list[MetricWish] = Field(default_factory=list)


class Measured(BaseModel):
    """What was recorded of a metric last: all that there is to do, for all replicas together."""

    metric: str
    at: datetime
    value: float


class AutoscalingState(BaseModel):
    """How a deployment is scaled by itself, and what came of it."""

    deployment: str
    replicas: int = Field(description="How many are wanted now.")
    ready: int
    rules: dict[str, Any] | None = Field(description="What was declared; null: it is scaled by hand.")
    measured: list[Measured] = Field(description="The greatest of the last five minutes that were recorded.")
    decisions: list[ScalingDecision] = Field(description="The latest first.")


class ResourceAdvice(BaseModel):
    """What one resource of a replica should be: cpu in millicores, memory in bytes."""

    asked: int = Field(description="0: nothing is asked for.")
    recommended: int | None = Field(description="null: too little is recorded.")
    p95: float | None = Field(description="Of the busiest replica in each five minutes.")
    most: float | None
    samples: int = Field(description="Recorded spans of five minutes.")
    words: str


class Recommendation(BaseModel):
    """How large the replicas of a deployment should be, by what they have used."""

    deployment: str
    days: float
    cpu: ResourceAdvice
    memory: ResourceAdvice
