"""Deployments as people write them: a template, how many, how changes are rolled out, and how it is scaled."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, model_validator

from pathfinder.domain.fields import Body, Hostname, Labels

#: Replicas are numbered from 1, with two digits at least: NAME-01.
MOST_REPLICAS = 9999

Count = Annotated[int, Field(ge=0, le=MOST_REPLICAS)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class StrategyType(StrEnum):
    """How a new revision takes the place of the old one."""

    ROLLING = "rolling"
    CANARY = "canary"
    RECREATE = "recreate"


class OnFailure(StrEnum):
    """What a rollout that failed does: it stops where it is, or goes back to the last revision that was well."""

    STOP = "stop"
    UNDO = "undo"


class Strategy(Body):
    """How changes are rolled out. Times in seconds."""

    type: StrategyType = StrategyType.ROLLING
    max_unavailable: Annotated[int, Field(ge=1, le=MOST_REPLICAS)] = Field(
        1, description="Replicas that may be away at once by our own action; min_available_replicas binds too."
    )
    min_healthy_seconds: Seconds = Field(5.0, description="How long a replica must be well before it counts.")
    progress_deadline_seconds: Seconds = Field(600.0, description="Without any progress for so long it has failed.")
    canaries: Annotated[int, Field(ge=1, le=MOST_REPLICAS)] = Field(1, description="Replicas a canary begins with.")
    promote_after_seconds: Seconds | None = Field(
        None, description="Canaries that were well for so long are promoted; null: by `pfi rollout promote` only."
    )
    on_failure: OnFailure = OnFailure.STOP


class DeploymentSpec(Body):
    """A deployment. `template` is what a container takes, without a hostname; its texts may be `$pf-meta:` ones."""

    name: Hostname
    labels: Labels = Field(default_factory=dict)
    replicas: Count = 1
    min_available_replicas: Count = Field(0, description="So many stay well whatever we do ourselves.")
    template: dict[str, Any] = Field(description="As in POST /containers, without a hostname.")
    strategy: Strategy = Field(default_factory=Strategy)
    autoscaling: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _reachable(self) -> "DeploymentSpec":
        if self.min_available_replicas > self.replicas and self.autoscaling is None:
            raise ValueError("min_available_replicas is above replicas")
        longest = replica_name(self.name, max(self.replicas, 1))
        if len(longest) > 63:
            raise ValueError(f"name is too long once replicas are numbered: {longest!r} has more than 63 characters")
        return self


def replica_name(deployment: str, number: int) -> str:
    """`NAME-01` for the first."""
    return f"{deployment}-{number:02d}"
