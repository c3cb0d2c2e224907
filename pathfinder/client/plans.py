"""What would happen, of the API."""

from collections.abc import Mapping, Sequence
from typing import Any

from pathfinder.client.nouns import Noun
from pathfinder.domain.views import Plan


class Plans(Noun):
    """Plans in one cluster: nothing of them is done."""

    async def create(
        self,
        containers: Sequence[Mapping[str, Any]],
        *,
        seed: int = 0,
        together: bool = False,
        document: Mapping[str, Any] | None = None,
        explain: bool = False,
    ) -> Plan:
        """Where these containers would go; by the policy `document`, if there is one, which need not be stored. With
        `explain`, each tells its best nodes.
        """
        body: dict[str, Any] = {"containers": list(containers), "seed": seed}
        if together:
            body["together"] = True
        if document is not None:
            body["document"] = document
        if explain:
            body["explain"] = True
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
