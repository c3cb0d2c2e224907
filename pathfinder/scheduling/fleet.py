"""A snapshot of a cluster's nodes as NumPy columns: row i of every column is the same node.

CPU is in millicores, memory and disk in bytes. A `Fleet` is never changed; `place()` works on its own copy of what
placements change.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathfinder.domain.asking import NODE, Taint
from pathfinder.domain.resources import Resources
from pathfinder.domain.selectors import Requirement, Selector

Mask = NDArray[np.bool_]
Scores = NDArray[np.float64]
Counts = NDArray[np.int64]

#: Columns of `capacity` and `claimed`, in this order.
CPU, MEMORY, DISK = range(3)

#: More containers than any batch places.
UNLIMITED = 1 << 40

#: How much more than its capacity may be claimed of each resource; None: as the policy says.
Overcommit = tuple[float | None, float | None, float | None]


@dataclass(frozen=True, slots=True)
class NodeState:
    """One node as the scheduler sees it.

    `labels` are its attributes: its own labels, and what it says of itself (`node.architecture`). `containers` and
    `stateful` count what claims on it, `max_…` bound that. `slots` is how many more containers it may get now,
    whatever their size; `aside` is why they are few. `cpu_used` and `memory_used` are the shares in live use, NaN where
    that is not known. `supply` grows when room appears there, or other rules hold.
    """

    id: str
    hostname: str
    ready: bool
    schedulable: bool
    capacity: Resources
    claimed: Resources
    containers: int
    generation: int
    labels: Mapping[str, str]
    epoch: int = 0
    slots: int = UNLIMITED
    aside: str | None = None
    stateful: int = 0
    max_containers: int = UNLIMITED
    max_stateful: int = UNLIMITED
    overcommit: Overcommit = (None, None, None)
    taints: tuple[Taint, ...] = ()
    pool: str = "default"
    cpu_used: float = float("nan")
    memory_used: float = float("nan")
    images: frozenset[str] = frozenset()
    supply: int = 0

    def alike(self, other: "NodeState") -> bool:
        """Whether it is called and carries the same as another: all that `Names` know."""
        return all(getattr(self, name) == getattr(other, name) for name in _CARRIED)


_CARRIED = ("id", "hostname", "labels", "taints", "pool", "images")


class Names:
    """What nodes are called and carry, apart from the columns that placements change: answers are kept.

    Every answer is computed once for each distinct value, not for each node.
    """

    def __init__(self, nodes: Sequence[NodeState]) -> None:
        self._nodes = nodes
        self._labels: dict[str, tuple[NDArray[np.intp], list[str | None]]] = {}
        self._holds: dict[Requirement, Mask] = {}
        self._kept: dict[Any, NDArray[Any]] = {}
        self.index_of = {node.hostname: row for row, node in enumerate(nodes)}

    @property
    def answers(self) -> int:
        """How many answers are kept."""
        return len(self._holds) + len(self._kept)

    def domains(self, over: str) -> tuple[NDArray[np.intp], int]:
        """For each node the number of its domain in a topology, -1 where it is in none; and how many domains."""
        if over == NODE:
            return np.arange(len(self._nodes)), len(self._nodes)
        codes, values = self.label(over)
        return codes - 1, len(values) - 1

    def label(self, key: str) -> tuple[NDArray[np.intp], list[str | None]]:
        """For each node an index into the distinct values of a label, the first of which is None: no such label."""
        if key not in self._labels:
            values: dict[str | None, int] = {None: 0}
            codes = [values.setdefault(node.labels.get(key), len(values)) for node in self._nodes]
            self._labels[key] = _final(np.array(codes, dtype=np.intp)), list(values)
        return self._labels[key]

    def satisfy(self, selector: Selector) -> Mask:
        """The nodes whose attributes satisfy it."""
        mask = np.ones(len(self._nodes), dtype=np.bool_)
        for one in selector.requirements:
            if one not in self._holds:
                codes, values = self.label(one.key)
                self._holds[one] = np.array([one.holds(value) for value in values], dtype=np.bool_)[codes]
            mask &= self._holds[one]
        return mask

    def kept(self, key: Any, kind: type[Any], of: Callable[[NodeState], Any]) -> NDArray[Any]:
        """`of(node)` for every node, as a column of that kind, asked once for each `key`."""
        if key not in self._kept:
            self._kept[key] = _final(np.array([of(node) for node in self._nodes], dtype=kind))
        return self._kept[key]


@dataclass(frozen=True)
class Fleet:
    """The columns. Shapes: (n,) each; `capacity`, `overcommit`, `room` and `claimed` (n, 3).

    `room` is how much may be claimed: the capacity times the node's overcommit, or the policy's. `row` is which node of
    `names` each row is. `tallies` count, for each node, the containers that match a selector; `averse` those that want
    no container that matches it near them, in that topology.
    """

    names: Names
    row: NDArray[np.intp]
    ids: NDArray[np.object_]
    hostnames: NDArray[np.object_]
    ready: Mask
    schedulable: Mask
    capacity: NDArray[np.int64]
    overcommit: NDArray[np.float64]
    room: NDArray[np.int64]
    claimed: NDArray[np.int64]
    containers: Counts
    stateful: Counts
    max_containers: Counts
    max_stateful: Counts
    generation: Counts
    slots: Counts
    aside: NDArray[np.object_]
    cpu_used: Scores
    memory_used: Scores
    tallies: Mapping[Selector, Counts] = field(default_factory=dict)
    averse: Mapping[tuple[Selector, str], Counts] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        nodes: Sequence[NodeState],
        tallies: Mapping[Selector, Counts] | None = None,
        averse: Mapping[tuple[Selector, str], Counts] | None = None,
        names: Names | None = None,
    ) -> "Fleet":
        """The fleet of these nodes, in this order; `names` of a former one, if only what placements change changed."""
        capacity = _amounts([node.capacity for node in nodes])
        return cls(
            names=names or Names(nodes),
            row=np.arange(len(nodes)),
            ids=_objects([node.id for node in nodes]),
            hostnames=_objects([node.hostname for node in nodes]),
            ready=np.array([node.ready for node in nodes], dtype=np.bool_),
            schedulable=np.array([node.schedulable for node in nodes], dtype=np.bool_),
            capacity=capacity,
            overcommit=np.array([node.overcommit for node in nodes], dtype=np.float64).reshape(len(nodes), 3),
            room=capacity,
            claimed=_amounts([node.claimed for node in nodes]),
            containers=_counts([node.containers for node in nodes]),
            stateful=_counts([node.stateful for node in nodes]),
            max_containers=_counts([node.max_containers for node in nodes]),
            max_stateful=_counts([node.max_stateful for node in nodes]),
            generation=_counts([node.generation for node in nodes]),
            slots=_counts([node.slots for node in nodes]),
            aside=_objects([node.aside for node in nodes]),
            cpu_used=np.array([node.cpu_used for node in nodes], dtype=np.float64),
            memory_used=np.array([node.memory_used for node in nodes], dtype=np.float64),
            tallies=tallies or {},
            averse=averse or {},
        )

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, wanted: slice | NDArray[np.intp]) -> "Fleet":
        """The fleet of these rows, in their order, a row as often as it is wanted; without tallies."""
        taken = {one.name: getattr(self, one.name)[wanted] for one in fields(self) if one.name not in _WHOLE}
        return Fleet(names=self.names, **taken)

    def working(self, overcommit: Sequence[float]) -> "Fleet":
        """The same fleet with what placements change free to be changed, and the room there is by this overcommit."""
        ratios = np.where(np.isnan(self.overcommit), np.asarray(overcommit), self.overcommit)
        return replace(
            self,
            # Exact where nothing is overcommitted: a float has no room for every count of bytes.
            room=np.where(ratios == 1.0, self.capacity, (self.capacity * ratios).astype(np.int64)),
            **{name: getattr(self, name).copy() for name in _CHANGED},
            tallies={key: counts.copy() for key, counts in self.tallies.items()},
            averse={key: counts.copy() for key, counts in self.averse.items()},
        )

    def changed(self) -> dict[str, NDArray[np.int64]]:
        """Copies of the columns that placements change, to go back to."""
        return {name: getattr(self, name).copy() for name in _CHANGED}

    def add(
        self, row: int | NDArray[np.intp], resources: NDArray[np.int64], stateful: bool, count: int | Counts = 1
    ) -> None:
        """Claim for `count` more containers on a row of a working fleet, or on each of several; `resources` as of
        `amounts`. With a count below 0 that many claim no more.
        """
        self.claimed[row] += np.multiply.outer(count, resources)
        self.containers[row] += count
        self.stateful[row] += count * stateful
        # A slot is for one that comes, whatever goes: a node that is set aside stays so.
        self.slots[row] -= np.maximum(count, 0)

    def renewed(self, nodes: Mapping[int, NodeState]) -> "Fleet":
        """The same fleet with other values in these rows; what nodes are called and carry must be the same."""
        rows = np.fromiter(nodes, dtype=np.intp)
        fresh = Fleet.of(list(nodes.values()), names=self.names)
        columns = {one.name: getattr(self, one.name).copy() for one in fields(self) if one.name not in _WHOLE}
        for name, column in columns.items():
            if name != "row":
                column[rows] = getattr(fresh, name)
        return replace(self, **columns)


_CHANGED = ("claimed", "containers", "stateful", "slots")
_WHOLE = frozenset({"names", "tallies", "averse"})


def amounts(resources: Resources) -> NDArray[np.int64]:
    """`resources` as a row of `capacity` or `claimed`: shape (3,)."""
    return np.array([resources.cpu_millicores, resources.memory_bytes, resources.disk_bytes], dtype=np.int64)


def _final(column: NDArray[Any]) -> NDArray[Any]:
    """It is given to whoever asks, plugins too."""
    column.flags.writeable = False
    return column


def _amounts(many: Sequence[Resources]) -> NDArray[np.int64]:
    rows = [(one.cpu_millicores, one.memory_bytes, one.disk_bytes) for one in many]
    return np.array(rows, dtype=np.int64).reshape(len(many), 3)


def _counts(values: Sequence[int]) -> Counts:
    return np.array(values, dtype=np.int64)


def _objects(values: Sequence[Any]) -> NDArray[np.object_]:
    column = np.empty(len(values), dtype=np.object_)
    column[:] = values
    return column
