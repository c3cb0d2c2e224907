"""Clusters of the API."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any
from uuid import uuid4

from pathfinder.client.connection import segment
from pathfinder.client.nouns import Noun
from pathfinder.domain.views import Cluster


class Clusters(Noun):
    """All clusters of a server."""

    def list(self) -> AsyncGenerator[Cluster, None]:
        """Every cluster."""
        return self._pages(Cluster, "/clusters", [])

    async def get(self, name: str) -> Cluster:
        """One cluster by its name."""
        return await self._connection.ask(Cluster, "GET", f"/clusters/{segment(name)}")

    async def create(self, name: str, *, policy: str | None = None, default_image: str | None = None) -> Cluster:
        """Make a cluster; what is left out is the server's default."""
        body = {"name": name} | _given(policy=policy, default_image=default_image)
        key = {"Idempotency-Key": str(uuid4())}
        return await self._connection.ask(Cluster, "POST", "/clusters", body=body, headers=key, repeatable=True)

    async def update(
        self,
        name: str,
        *,
        policy: str | None = None,
        default_image: str | None = None,
        heartbeat_seconds: float | None = None,
        lease_seconds: float | None = None,
        quota: Mapping[str, Any] | None = None,
        overcommit: Mapping[str, Any] | None = None,
    ) -> Cluster:
        """Change a cluster; what is left out stays. None for a part of a quota or of `overcommit` removes it."""
        body = _given(
            policy=policy,
            default_image=default_image,
            heartbeat_seconds=heartbeat_seconds,
            lease_seconds=lease_seconds,
            quota=quota or None,
            overcommit=overcommit or None,
        )
        return await self._connection.ask(Cluster, "PATCH", f"/clusters/{segment(name)}", body=body, repeatable=True)


def _given(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
