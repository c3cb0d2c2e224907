"""Deployments of the API."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from pathfinder.client.connection import Params, segment
from pathfinder.client.nouns import Noun
from pathfinder.domain.deployment_views import AppliedBatch, AppliedDeployment, Deployment, DeploymentPlan, Revision
from pathfinder.domain.views import Page


class Deployments(Noun):
    """The deployments of one cluster."""

    def list(
        self, *, labels: Mapping[str, str] | None = None, prefix: str | None = None
    ) -> AsyncGenerator[Deployment, None]:
        """Those with these labels whose names begin so, by name."""
        narrow = [("label", f"{key}={value}") for key, value in (labels or {}).items()]
        params = [*self._cluster, *narrow, *([("prefix", prefix)] if prefix else [])]
        return self._pages(Deployment, "/deployments", params)

    async def get(self, name: str) -> Deployment:
        """One deployment by its name."""
        return await self._connection.ask(Deployment, "GET", _path(name), params=self._cluster)

    async def revisions(self, name: str) -> Sequence[Revision]:
        """The revisions of a deployment that are kept, the latest first."""
        path = f"{_path(name)}/revisions"
        return (await self._connection.ask(Page[Revision], "GET", path, params=self._cluster)).items

    async def apply(
        self, name: str, document: Mapping[str, Any], *, expected: int | None = None, cause: str = ""
    ) -> AppliedDeployment:
        """Declare a deployment; refused where `expected` is given and not its version (0: there is none)."""
        given = [] if expected is None else [("expected_version", str(expected))]
        return await self._connection.ask(
            AppliedDeployment,
            "PUT",
            _path(name),
            params=[*self._cluster, *given, *_cause(cause)],
            body=document,
            repeatable=True,
        )

    async def apply_all(
        self, documents: Sequence[Mapping[str, Any]], *, prune: Mapping[str, str] | None = None, cause: str = ""
    ) -> AppliedBatch:
        """Declare several, all or none; what else has the labels of `prune` is deleted."""
        params = [*self._cluster, *_cause(cause)]
        return await self._connection.ask(
            AppliedBatch, "POST", "/deployments/batch", params=params, body=_batch(documents, prune), repeatable=True
        )

    async def plan(
        self, documents: Sequence[Mapping[str, Any]], *, prune: Mapping[str, str] | None = None
    ) -> DeploymentPlan:
        """What `apply_all` would do."""
        return await self._connection.ask(
            DeploymentPlan,
            "POST",
            "/deployments/plan",
            params=self._cluster,
            body=_batch(documents, prune),
            repeatable=True,
        )

    async def scale(self, name: str, replicas: int) -> Deployment:
        """Have so many replicas."""
        path, body = f"{_path(name)}/scale", {"replicas": replicas}
        return await self._connection.ask(Deployment, "POST", path, params=self._cluster, body=body, repeatable=True)

    async def delete(self, name: str) -> Deployment:
        """Ask for the deletion of a deployment and its replicas."""
        return await self._connection.ask(Deployment, "DELETE", _path(name), params=self._cluster)

    async def rollout(self, name: str, action: str, *, revision: int | None = None) -> Deployment:
        """Ask for `undo`, `pause`, `resume`, `promote` or `restart`; only `undo` takes a revision."""
        path = f"{_path(name)}/rollout/{segment(action)}"
        body = None if revision is None else {"revision": revision}
        return await self._connection.ask(Deployment, "POST", path, params=self._cluster, body=body)


def _path(name: str) -> str:
    return f"/deployments/{segment(name)}"


def _batch(documents: Sequence[Mapping[str, Any]], prune: Mapping[str, str] | None) -> dict[str, Any]:
    return {"deployments": list(documents), **({"prune": dict(prune)} if prune else {})}


def _cause(cause: str) -> Params:
    return [("cause", cause)] if cause else []
