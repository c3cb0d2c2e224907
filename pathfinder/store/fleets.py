"""What a scheduler knows of a cluster's nodes: read once whole, then only what changed.

Each refresh brings it up to the moment, so it is what a snapshot would be. Where it should be wrong all the same,
claims name the generation of each node that was decided on: a decision is made again, and no node is overfilled.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.scheduling.fleet import Fleet, NodeState
from pathfinder.store.states import CHANGED, USAGE, WHOLE, snapshot, state
from pathfinder.store.tallies import Tallies

#: So many answers to questions like "who has this image" are kept; then it is begun anew.
MOST_ANSWERS = 1000

#: How old may be what is known of the nodes' live use. They tell it as often themselves.
USAGE_SECONDS = 5.0

#: So many columns tell of the whole, before those of each node.
_OF_WHOLE = 5

_LOWER_HALF = (1 << 32) - 1


class KnownFleet:
    """The nodes of one cluster, and the name of its `policy`. `states` and `fleet` have the same rows, by hostname.
    `company` is what is known of who is where, `averse` whether anybody there wants some company kept away. `supply` is
    the sum of the nodes', `offered` what it was when those who wait were last offered it.

    Hold `deciding` from a refresh to the end of its transaction: what is read there may be undone with it.
    """

    def __init__(self) -> None:
        self.deciding = asyncio.Lock()
        self.states: list[NodeState] = []
        self.fleet = Fleet.of([])
        self.policy = ""
        self.supply = 0
        self.offered: int | None = None
        self.company = Tallies()
        self.averse = True
        self._row_of: dict[str, int] = {}
        self._horizon: int | None = None
        self._overcommit: str | None = None
        self._doubtful: set[UUID] = set()
        self._used_at = 0.0

    def forget(self) -> None:
        """Read everything again next time: what was seen may never have happened."""
        self._horizon, self.offered = None, None

    def doubt(self, ids: set[UUID]) -> None:
        """Read these again next time, whether or not they look changed: a claim on them failed."""
        self._doubtful |= ids

    async def refresh(self, tx: AsyncConnection, cluster_id: UUID) -> bool:
        """Take in what changed since the last time; whether there is such a cluster."""
        if self._horizon is None:
            rows, same = (await tx.execute(WHOLE, {"cluster_id": cluster_id})).all(), False
        else:
            given = {"since": str(self._horizon & _LOWER_HALF), "also": list(self._doubtful)}
            rows = (await tx.execute(CHANGED, {"cluster_id": cluster_id, **given})).all()
            same = bool(rows) and self._take_in(rows)
        if not rows:
            self.forget()
            return False
        if not same:
            self._replace(await snapshot(tx, cluster_id))
            self._used_at = time.monotonic()
        elif time.monotonic() - self._used_at > USAGE_SECONDS:
            self._use((await tx.execute(USAGE, {"cluster_id": cluster_id})).all())
        self._horizon, self.policy, self._overcommit = rows[0].horizon, rows[0].policy, rows[0].ratios
        self.averse = rows[0].averse
        self._doubtful = set()
        return True

    def _take_in(self, read: Sequence[Any]) -> bool:
        """Take in the rows that changed; whether it is still the same nodes, called and carrying the same."""
        if (read[0].nodes, read[0].ratios) != (len(self.states), self._overcommit):
            return False
        found = [state(row[_OF_WHOLE:]) for row in read if row.id is not None]
        rows = {self._row_of.get(one.id, -1): one for one in found}
        if -1 in rows or any(not one.alike(self.states[row]) for row, one in rows.items()):
            return False
        for row, one in rows.items():
            self.supply += one.supply - self.states[row].supply
            self.states[row] = one
        if self.fleet.names.answers > MOST_ANSWERS:
            self._replace(self.states)
        elif rows:
            self.fleet = self.fleet.renewed(rows)
        return True

    def _replace(self, states: list[NodeState]) -> None:
        self.states, self.fleet = states, Fleet.of(states)
        self.supply = sum(one.supply for one in states)
        self._row_of = {one.id: row for row, one in enumerate(states)}

    def _use(self, rows: Sequence[Any]) -> None:
        self._used_at = time.monotonic()
        if len(rows) == len(self.states):  # else somebody came or went just now
            cpu, memory = (np.array([row[n] for row in rows], dtype=np.float64) for n in (0, 1))
            self.fleet = replace(self.fleet, cpu_used=cpu, memory_used=memory)
