"""Deployments as people write them: a template, how many, how changes are rolled out, and how it is scaled."""

from collections import Counter
from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from pathfinder.domain.autoscaling import Autoscaling
from pathfinder.domain.errors import FieldProblem, Invalid
from pathfinder.domain.fields import Body, Hostname, JsonObject, Labels
from pathfinder.domain.names import MAX_HOSTNAME

#: Replicas are numbered from 1, with two digits at least: NAME-01.
MOST_REPLICAS = 9999

#: How many may be declared at once.
MOST_AT_ONCE = 500

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
    replicas: Count = Field(1, description="Left as they are if left out.")
    min_available_replicas: Count = Field(0, description="So many stay well whatever we do ourselves.")
    template: JsonObject = Field(description="As in POST /containers, without a hostname.")
    strategy: Strategy = Field(default_factory=Strategy)
    autoscaling: Autoscaling | None = Field(None, description="How it is scaled by itself; null: by hand.")

    @model_validator(mode="after")
    def _scales(self) -> "DeploymentSpec":
        if self.autoscaling is None:
            return self
        if self.autoscaling.max < self.min_available_replicas:
            raise ValueError(
                f"autoscaling.max is {self.autoscaling.max}, below min_available_replicas, "
                f"which is {self.min_available_replicas}"
            )
        if len(last := replica_name(self.name, self.autoscaling.max)) > MAX_HOSTNAME:
            raise ValueError(f"name is too long for autoscaling.max: {last!r} has more than {MAX_HOSTNAME} characters")
        return self


def replica_name(deployment: str, number: int) -> str:
    """`NAME-01` for the first."""
    return f"{deployment}-{number:02d}"


def check_size(deployment: str, replicas: int, least: int) -> None:
    """Whether a deployment may have so many replicas, where `least` are to stay available. Raises Invalid."""
    problems = []
    if replicas < least:
        words = f"{replicas} would be fewer than min_available_replicas, which is {least}"
        problems.append(FieldProblem("replicas", words))
    last = replica_name(deployment, max(replicas, 1))
    if len(last) > MAX_HOSTNAME:
        words = f"is too long once replicas are numbered: {last!r} has more than {MAX_HOSTNAME} characters"
        problems.append(FieldProblem("name", words))
    if problems:
        raise Invalid(f"The deployment {deployment!r} cannot have {replicas} replicas.", problems)


class DeploymentBatch(Body):
    """Several deployments, declared whole or not at all."""

    deployments: list[DeploymentSpec] = Field(max_length=MOST_AT_ONCE)
    prune: Annotated[Labels, Field(min_length=1)] | None = Field(
        None, description="Deployments with these labels that are not among those are deleted."
    )

    @field_validator("deployments")
    @classmethod
    def _once(cls, deployments: list[DeploymentSpec]) -> list[DeploymentSpec]:
        twice = [name for name, times in Counter(one.name for one in deployments).items() if times > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} is in this batch twice")
        return deployments


class Scale(Body):
    """How many replicas a deployment shall have."""

    replicas: Count


class Undo(Body):
    """Which revision a deployment goes back to."""

    revision: Annotated[int, Field(ge=1)] | None = Field(
        None, description="The last that was rolled out whole if left out, or else the one before."
    )
