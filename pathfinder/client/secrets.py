"""Secrets of the API."""

from collections.abc import AsyncGenerator

from pathfinder.client.connection import segment
from pathfinder.client.nouns import Noun
from pathfinder.domain.identity import Secret


class Secrets(Noun):
    """The secrets of one cluster: their names, never their values."""

    def list(self) -> AsyncGenerator[Secret, None]:
        """Every secret."""
        return self._pages(Secret, "/secrets", self._cluster)

    async def set(self, name: str, value: str) -> None:
        """Keep a value, in place of a former one."""
        body = {"value": value}
        await self._connection.request("PUT", _path(name), params=self._cluster, body=body, repeatable=True)

    async def delete(self, name: str) -> None:
        """Forget a secret."""
        await self._connection.request("DELETE", _path(name), params=self._cluster)


def _path(name: str) -> str:
    return f"/secrets/{segment(name)}"
