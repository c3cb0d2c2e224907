"""Nodes of the API."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TypedDict, Unpack

from pathfinder.client.connection import segment
from pathfinder.client.nouns import Noun
from pathfinder.client.selection import Selection
from pathfinder.domain.usage_views import Usage
from pathfinder.domain.views import Node


class NodeChanges(TypedDict, total=False):
    """What may be set on a node: the fields of `NodePatch`. None removes a label, a limit or a ratio."""

    labels: Mapping[str, str | None]
    taints: Sequence[str]
    untaint: Sequence[str]
    pool: str
    max_containers: int | None
    max_stateful: int | None
    overcommit: Mapping[str, float | str | None]


class Nodes(Noun):
    """The nodes of one cluster."""

    def list(self, selection: Selection | None = None) -> AsyncGenerator[Node, None]:
        """The nodes of the selection, all pages of them."""
        return self._pages(Node, "/nodes", [*self._cluster, *(selection or Selection()).params()])

    async def get(self, hostname: str) -> Node:
        """One node by its hostname."""
        return await self._connection.ask(Node, "GET", _path(hostname), params=self._cluster)

    async def update(self, hostname: str, **changes: Unpack[NodeChanges]) -> Node:
        """Change a node; what is left out stays."""
        return await self._connection.ask(
            Node, "PATCH", _path(hostname), params=self._cluster, body=dict(changes), repeatable=True
        )

    async def cordon(self, hostname: str, *, reboot_within: float | None = None) -> Node:
        """Stop new placements on a node, which may be silent for `reboot_within` seconds if that is given."""
        return await self._mark(hostname, "cordon", reboot_within=reboot_within)

    async def uncordon(self, hostname: str) -> Node:
        """Allow new placements on a node again."""
        return await self._mark(hostname, "uncordon")

    async def usage(self, hostname: str, since: str | None = None) -> Usage:
        """What a node used over the last hour, or `since` a moment or so long ago (`10m`)."""
        params = [*self._cluster, *([("since", since)] if since else [])]
        return await self._connection.ask(Usage, "GET", f"{_path(hostname)}/usage", params=params)

    async def delete(self, hostname: str) -> None:
        """Forget an empty node; refused (409) while containers are on it."""
        await self._connection.request("DELETE", _path(hostname), params=self._cluster)

    async def _mark(self, hostname: str, mark: str, **options: float | None) -> Node:
        # A cordoned node that is cordoned again stays as it is, so a retry is safe.
        params = [*self._cluster, *((name, str(value)) for name, value in options.items() if value is not None)]
        return await self._connection.ask(Node, "POST", f"{_path(hostname)}/{mark}", params=params, repeatable=True)


def _path(hostname: str) -> str:
    return f"/nodes/{segment(hostname)}"
