"""What clients get of deployments: the response bodies of the HTTP API."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from pathfinder.domain.policies import Change
from pathfinder.domain.views import Plan


class Counts(BaseModel):
    """How many replicas there are of which kind."""

    existing: int = Field(description="Living containers of it, those that leave too.")
    available: int = Field(description="Those fit to serve: PROVISIONED or BOOTSTRAPPED, and not unhealthy.")
    updated: int = Field(description="Those of the wanted revision.")


class Deployment(BaseModel):
    """A deployment as it stands."""

    id: UUID
    name: str
    cluster: str
    labels: dict[str, str]
    replicas: int = Field(description="How many there shall be.")
    counts: Counts
    image: str | None = Field(description="That of its template; null: the cluster's default image.")
    version: int = Field(description="Grows with every change of what is wanted.")
    revision: int = Field(description="The wanted revision of its template.")
    stable: int | None = Field(description="The last revision that was rolled out whole; null before the first.")
    paused: bool = Field(description="Whether its rollout waits to be resumed.")
    leaving: bool = Field(description="Whether it is being deleted.")
    rollout: dict[str, Any] = Field(description="How far its rollout is.")
    message: str | None = Field(description="Why it is not as it should be, in words; null when all is well.")
    document: dict[str, Any] = Field(description="What is declared, as PUT takes it.")
    created_at: datetime
    changed_at: datetime = Field(description="When what is wanted last changed.")


class AppliedDeployment(Deployment):
    """A deployment, and what applying it did."""

    change: Change


class Revision(BaseModel):
    """One template of a deployment."""

    revision: int
    wanted: bool = Field(description="Whether it is the one that is wanted.")
    stable: bool = Field(description="Whether it is the last that was rolled out whole.")
    cause: str
    actor: str
    created_at: datetime
    template: dict[str, Any]


class AppliedBatch(BaseModel):
    """What applying several deployments did."""

    applied: list[AppliedDeployment]
    pruned: list[str] = Field(description="Those that were there with the labels of `prune`, and are deleted.")


class ChangedField(BaseModel):
    """A field that would be another; null where it is not there."""

    field: str
    before: Any
    after: Any


class PlannedDeployment(BaseModel):
    """What applying a deployment would do."""

    name: str
    change: Change
    differences: list[ChangedField]
    created: list[str] = Field(description="Replicas that would be made.")
    changed: int = Field(description="Replicas that would follow another template.")
    removed: list[str] = Field(description="Replicas that would be deleted.")


class DeploymentPlan(BaseModel):
    """What applying several deployments would do. Nothing is done."""

    deployments: list[PlannedDeployment]
    pruned: list[str]
    placements: Plan | None = Field(description="Where new replicas would go; null if there are none.")
