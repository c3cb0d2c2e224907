"""Placement policies of the API."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from pathfinder.client.connection import Params, segment
from pathfinder.client.nouns import Noun
from pathfinder.domain.views import AppliedPolicy, Page, Policy, PolicyVersion


class Policies(Noun):
    """All policies of a server; they belong to no cluster."""

    def list(self) -> AsyncGenerator[Policy, None]:
        """The latest version of every policy, the built-in ones first."""
        return self._pages(Policy, "/policies", [])

    async def get(self, name: str, version: int | None = None) -> Policy:
        """One policy, the latest version of it if none is given."""
        return await self._connection.ask(Policy, "GET", _path(name), params=_given("version", version))

    async def versions(self, name: str) -> Sequence[PolicyVersion]:
        """Every version of a policy, the latest first."""
        return (await self._connection.ask(Page[PolicyVersion], "GET", f"{_path(name)}/versions")).items

    async def apply(self, name: str, document: Mapping[str, Any], *, expected: int | None = None) -> AppliedPolicy:
        """Write a policy; refused where `expected` is given and not its latest version (0: there is none)."""
        params = _given("expected_version", expected)
        return await self._connection.ask(
            AppliedPolicy, "PUT", _path(name), params=params, body=document, repeatable=True
        )

    async def delete(self, name: str) -> None:
        """Delete a policy that nobody goes by."""
        await self._connection.request("DELETE", _path(name))


def _path(name: str) -> str:
    return f"/policies/{segment(name)}"


def _given(name: str, version: int | None) -> Params:
    return [] if version is None else [(name, str(version))]
