"""Where victims are worth looking for: of all rows the few on which the least would have to go, as far as sums tell.

Sums are told of whole lots, so nothing here depends on how many containers there are. What they promise is at least
what there is: they know the budgets of each lot, but not that lots share them, and nothing of company.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathfinder.domain.resources import Resources
from pathfinder.domain.selectors import Selector
from pathfinder.scheduling.fleet import Fleet, Mask, amounts
from pathfinder.scheduling.request import Ask

#: cpu, memory, disk, and the container itself.
Size = tuple[int, int, int, int]
#: Those labels that some budget looks at.
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Lot:
    """Stateless containers of one row and one priority, the same to every budget: how many, what they claim together,
    and the most that one of them claims of each resource.
    """

    row: int
    priority: int
    labels: Labels
    count: int
    total: Resources
    largest: Resources


def size(resources: Resources) -> Size:
    """What one container's going frees."""
    return resources.cpu_millicores, resources.memory_bytes, resources.disk_bytes, 1


def short(fleet: Fleet, ask: Ask) -> NDArray[np.int64]:
    """How much each row of a working fleet lacks for one of this ask, as of `size`: shape (n, 4), 0 where nothing."""
    wanted = amounts(ask.resources)
    lacks = np.where(wanted > 0, fleet.claimed + wanted - fleet.room, 0)
    lacking: NDArray[np.int64] = np.column_stack((lacks, fleet.containers + 1 - fleet.max_containers))
    return np.maximum(lacking, 0)


class Lots:
    """Lots in columns, ordered by row and then by priority; they shrink as containers go."""

    def __init__(self, lots: Iterable[Lot], budgets: Sequence[Selector]) -> None:
        line = sorted(lots, key=lambda one: (one.row, one.priority, one.labels))
        self._at = {(one.row, one.priority, one.labels): place for place, one in enumerate(line)}
        self._row = np.array([one.row for one in line], dtype=np.intp)
        self._priority = np.array([one.priority for one in line], dtype=np.int64)
        self._total = np.array([(*size(one.total)[:3], one.count) for one in line], dtype=np.int64).reshape(-1, 4)
        self._largest = np.array([size(one.largest) for one in line], dtype=np.int64).reshape(-1, 4)
        kinds: dict[Labels, int] = {}
        self._kind = np.array([kinds.setdefault(one.labels, len(kinds)) for one in line], dtype=np.intp)
        counted = [[budget.matches(dict(kind)) for budget in budgets] for kind in kinds]
        self._counted = np.array(counted, dtype=np.bool_).reshape(len(kinds), len(budgets))

    def gone(self, row: int, priority: int, labels: Labels, resources: Resources) -> None:
        """One of a lot has gone."""
        self._total[self._at[row, priority, labels]] -= size(resources)

    def best(
        self, lacks: NDArray[np.int64], among: Mask, below: int, left: Mapping[Selector, int], many: int
    ) -> list[int]:
        """At most so many of the rows `among` which the lots below a priority could free what a row `lacks`.

        First those where the less urgent are enough, then those where fewer may be. `left` is how many may go of each
        budget, in the order in which the budgets were given.
        """
        spent = np.array(list(left.values()), dtype=np.int64)
        bound = np.where(self._counted, spent, np.iinfo(np.int64).max).min(axis=1, initial=np.iinfo(np.int64).max)
        may = np.clip(bound[self._kind], 0, self._total[:, 3])
        usable = np.flatnonzero((self._priority < below) & among[self._row] & (may > 0))
        if not len(usable):
            return []
        row, largest = self._row[usable], self._largest[usable]
        freed = np.cumsum(np.minimum(self._total[usable], may[usable, None] * largest), axis=0)
        begins = np.flatnonzero(np.diff(row, prepend=-1))
        of = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(row)))
        before = np.vstack((np.zeros((1, 4), dtype=np.int64), freed[begins[1:] - 1]))
        enough = (freed - before[of] >= lacks[row]).all(axis=1)
        place = np.arange(len(row))
        last = np.minimum.reduceat(np.where(enough, place, len(row)), begins)
        biggest = np.maximum.reduceat(np.where((place <= last[of])[:, None], largest, 0), begins)
        found = np.flatnonzero(last < len(row))
        rows = row[begins[found]]
        fewest = (-(-lacks[rows] // np.maximum(biggest[found], 1))).max(axis=1, initial=1)
        urgent = self._priority[usable][last[found]]
        return [int(one) for one in rows[np.lexsort((rows, fewest, urgent))][:many]]
