"""What would happen, of the API."""

from collections.abc import Mapping, Sequence
from typing import Any

from pathfinder.client.nouns import Noun
from pathfinder.domain.views import Plan


class Plans(Noun):
    """Plans in one cluster: nothing of them is done."""

    async def create(self, containers: Sequence[Mapping[str, Any]], *, seed: int = 0, together: bool = False) -> Plan:
        """Where these containers would go."""
        body = {"containers": list(containers), "seed": seed, **({"together": True} if together else {})}
        return await self._ask("create", body)

    async def lose(self, nodes: Sequence[str] = (), *, zone: str | None = None, seed: int = 0) -> Plan:
        """What the death of these nodes, or of a zone, would mean."""
        return await self._ask(
            "lose", {"seed": seed, **({"zone": zone} if zone is not None else {"nodes": list(nodes)})}
        )

    async def drain(self, nodes: Sequence[str], *, seed: int = 0) -> Plan:
        """What emptying these nodes would mean."""
        return await self._ask("drain", {"nodes": list(nodes), "seed": seed})

    async def _ask(self, what: str, body: Mapping[str, Any]) -> Plan:
        return await self._connection.ask(
            Plan, "POST", f"/plans/{what}", params=self._cluster, body=body, repeatable=True
        )
