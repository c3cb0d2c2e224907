"""What would be lost with each node and zone, computed anew only where the fleet changed."""

import asyncio
from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.lifecycle import CLAIMING, ContainerType, Status
from pathfinder.domain.policies import USUAL
from pathfinder.domain.resources import Resources
from pathfinder.scheduling import asking, resilience
from pathfinder.scheduling.policy import BUILT_IN, Rules
from pathfinder.scheduling.relations import selectors
from pathfinder.scheduling.request import Ask, Request
from pathfinder.scheduling.resilience import Resident, Survey
from pathfinder.store import policies
from pathfinder.store.database import Database
from pathfinder.store.states import snapshot

#: Containers that would have to go on elsewhere.
_WANTED = sorted(CLAIMING - {Status.SCHEDULE_DELETION})

# Every change of a node or of what is placed on it moves its generation.
_VERSION = text("""
    SELECT k.policy, (SELECT max(version) FROM policies AS p WHERE p.name = k.policy) AS version, count(n.id),
           COALESCE(sum(n.generation), 0)::bigint, COALESCE(sum(n.supply), 0)::bigint
    FROM clusters AS k LEFT JOIN nodes AS n ON n.cluster_id = k.id WHERE k.id = :cluster_id GROUP BY k.id
""")
_RESIDENTS = text("""
    SELECT id, node_id, type, image, cpu_millicores, memory_bytes, disk_bytes, spec, priority, labels
    FROM containers
    WHERE cluster_id = :cluster_id AND node_id IS NOT NULL AND status = ANY(:statuses) ORDER BY id
""")


class Surveys:
    """The last survey of each cluster."""

    def __init__(self, database: Database, zone_label: str, rules: Rules = BUILT_IN) -> None:
        self._database = database
        self._zone_label, self._rules = zone_label, rules
        self._last: dict[UUID, tuple[Any, Survey]] = {}

    async def of(self, cluster_id: UUID) -> Survey:
        """A cluster's survey, as of now."""
        async with self._database.begin() as tx:
            row = (await tx.execute(_VERSION, {"cluster_id": cluster_id})).one_or_none()
            version = tuple(row or ())
            last = self._last.get(cluster_id)
            if last is not None and last[0] == version:
                return last[1]
            states = await snapshot(tx, cluster_id)
            residents = await _residents(tx, cluster_id)
            usual = row.policy if row else USUAL
            chosen, _ = (await policies.usable(tx, [usual], usual, self._rules))[usual]
        # A large fleet that is nearly full takes a second or two: not on the event loop.
        made = await asyncio.to_thread(resilience.survey, states, residents, chosen, self._zone_label)
        self._last[cluster_id] = (version, made)
        return made


async def _residents(tx: AsyncConnection, cluster_id: UUID) -> list[Resident]:
    rows = (await tx.execute(_RESIDENTS, {"cluster_id": cluster_id, "statuses": _WANTED})).all()
    wanted = set().union(*(selectors(ask) for ask in {ask_of(row) for row in rows}))
    keys = {one.key for selector in wanted for one in selector.requirements}
    return [
        Resident(str(row.node_id), Request(str(row.id), ask_of(row, keys)), row.type == ContainerType.STATEFUL)
        for row in rows
    ]


def ask_of(row: Any, keys: Collection[str] = ()) -> Ask:
    """What a container's row asks for, with those of its labels whose keys these are."""
    resources = Resources(row.cpu_millicores, row.memory_bytes, row.disk_bytes)
    return asking.ask(resources, ContainerType(row.type), row.image, row.spec, row.priority, row.labels, keys)
