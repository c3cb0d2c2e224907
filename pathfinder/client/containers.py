"""Containers of the API."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, TypedDict, Unpack
from uuid import uuid4

from pathfinder.client.connection import segment
from pathfinder.client.nouns import Noun
from pathfinder.client.selection import Selection
from pathfinder.domain.usage_views import Usage
from pathfinder.domain.views import Attempt, Bootstrap, Container, Explanation, Page


class Wishes(TypedDict, total=False):
    """What a new container may ask for besides its name: the fields of `ContainerSpec`, as people write them.

    They are sent as written ("512MiB", "500m"): the server alone decides what is valid, so its rules live once.
    """

    image: str
    type: str
    cpu: str | float
    memory: str | int
    disk: str | int
    labels: Mapping[str, str]
    node_labels: Mapping[str, str]
    profiles: Sequence[str]
    config: Mapping[str, str]
    devices: Mapping[str, Mapping[str, str]]
    max_attempts: int
    limits: Mapping[str, str | float]
    architecture: str
    constraints: Sequence[str]
    pool: str
    tolerations: Sequence[str]
    affinity: Sequence[Mapping[str, Any]]
    spread: Sequence[Mapping[str, Any]]
    budget: Mapping[str, Any]
    priority: int
    policy: str
    bootstrappers: Sequence[Mapping[str, Any]]


class Containers(Noun):
    """The containers of one cluster."""

    async def create(self, hostname: str, **wishes: Unpack[Wishes]) -> Container:
        """Ask for a container. A retry after a lost answer finds the first one's container, not a conflict."""
        return await self._connection.ask(
            Container,
            "POST",
            "/containers",
            params=self._cluster,
            body={"hostname": hostname, **wishes},
            headers=_once(),
            repeatable=True,
        )

    async def create_batch(self, containers: Sequence[Mapping[str, Any]], *, together: bool = False) -> list[Container]:
        """Ask for several containers: all are accepted or none; `together`, all are placed at once or none."""
        answer = await self._connection.ask(
            Page[Container],
            "POST",
            "/containers/batch",
            params=self._cluster,
            body={"containers": list(containers), **({"together": True} if together else {})},
            headers=_once(),
            repeatable=True,
        )
        return answer.items

    def list(self, selection: Selection | None = None) -> AsyncGenerator[Container, None]:
        """The living containers of the selection, all pages of them."""
        return self._pages(Container, "/containers", [*self._cluster, *(selection or Selection()).params()])

    async def get(self, hostname: str) -> Container:
        """One container by its hostname."""
        return await self._connection.ask(Container, "GET", _path(hostname), params=self._cluster)

    async def delete(self, hostname: str) -> Container:
        """Ask for a container's deletion. Not repeated on its own: the name may be another container's by then."""
        return await self._connection.ask(Container, "DELETE", _path(hostname), params=self._cluster)

    async def reschedule(self, hostname: str) -> Container:
        """Ask for a new placement. Not repeated on its own: each request is another move."""
        return await self._connection.ask(Container, "POST", f"{_path(hostname)}/reschedule", params=self._cluster)

    async def explain(self, hostname: str) -> Explanation:
        """Why a container is where it is, or why it is nowhere yet."""
        return await self._connection.ask(Explanation, "GET", f"{_path(hostname)}/explain", params=self._cluster)

    async def attempts(self, hostname: str) -> Sequence[Attempt]:
        """The provisions of a container that failed, oldest first."""
        answer = await self._connection.ask(Page[Attempt], "GET", f"{_path(hostname)}/attempts", params=self._cluster)
        return answer.items

    async def usage(self, hostname: str, since: str | None = None) -> Usage:
        """What a container used over the last hour, or `since` a moment or so long ago (`10m`)."""
        params = [*self._cluster, *([("since", since)] if since else [])]
        return await self._connection.ask(Usage, "GET", f"{_path(hostname)}/usage", params=params)

    async def rebootstrap(self, hostname: str) -> Container:
        """Ask for its bootstrappers to be carried out again. Not repeated on its own: each request is another run."""
        return await self._connection.ask(Container, "POST", f"{_path(hostname)}/rebootstrap", params=self._cluster)

    async def bootstraps(self, hostname: str) -> Sequence[Bootstrap]:
        """The bootstrappers of a container, run by run, oldest first."""
        path = f"{_path(hostname)}/bootstraps"
        return (await self._connection.ask(Page[Bootstrap], "GET", path, params=self._cluster)).items


def _path(hostname: str) -> str:
    return f"/containers/{segment(hostname)}"


def _once() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid4())}
