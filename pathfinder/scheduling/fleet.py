"""A snapshot of a cluster's nodes as NumPy columns: row i of every column is the same node.

CPU is in millicores, memory and disk in bytes. A `Fleet` is never changed; `place()` works on its own `claimed` copy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathfinder.domain.resources import Resources

Mask = NDArray[np.bool_]
Scores = NDArray[np.float64]

#: Columns of `capacity` and `claimed`, in this order.
CPU, MEMORY, DISK = range(3)


#: More containers than any batch places.
UNLIMITED = 1 << 40


@dataclass(frozen=True, slots=True)
class NodeState:
    """One node as the scheduler sees it.

    `slots` is how many more containers it may get now, whatever their size; `aside` is why they are few.
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


@dataclass(frozen=True)
class Fleet:
    """The columns. Shapes: (n,) each, `capacity` and `claimed` (n, 3)."""

    ids: NDArray[np.object_]
    hostnames: NDArray[np.object_]
    ready: Mask
    schedulable: Mask
    capacity: NDArray[np.int64]
    claimed: NDArray[np.int64]
    containers: NDArray[np.int64]
    generation: NDArray[np.int64]
    labels: NDArray[np.object_]
    slots: NDArray[np.int64]
    aside: NDArray[np.object_]

    @classmethod
    def of(cls, nodes: Sequence[NodeState]) -> "Fleet":
        """The fleet of these nodes, in this order."""
        return cls(
            ids=_objects([node.id for node in nodes]),
            hostnames=_objects([node.hostname for node in nodes]),
            ready=np.array([node.ready for node in nodes], dtype=np.bool_),
            schedulable=np.array([node.schedulable for node in nodes], dtype=np.bool_),
            capacity=_amounts([node.capacity for node in nodes]),
            claimed=_amounts([node.claimed for node in nodes]),
            containers=np.array([node.containers for node in nodes], dtype=np.int64),
            generation=np.array([node.generation for node in nodes], dtype=np.int64),
            labels=_objects([node.labels for node in nodes]),
            slots=np.array([node.slots for node in nodes], dtype=np.int64),
            aside=_objects([node.aside for node in nodes]),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def row(self, index: int) -> "Fleet":
        """The fleet of one node: views of the columns, so that it follows changes of `claimed`."""
        part = slice(index, index + 1)
        return Fleet(**{name: getattr(self, name)[part] for name in self.__dataclass_fields__})

    def working_copy(self) -> "Fleet":
        """The same fleet with `claimed`, `containers` and `slots` free to be changed."""
        return replace(self, claimed=self.claimed.copy(), containers=self.containers.copy(), slots=self.slots.copy())

    @cached_property
    def index_of(self) -> Mapping[str, int]:
        """The row of each node, by its hostname."""
        return {str(hostname): row for row, hostname in enumerate(self.hostnames)}

    @cached_property
    def label_columns(self) -> Mapping[str, NDArray[np.object_]]:
        """For each label key on any node, the column of its values (None where a node has none)."""
        keys = {key for labels in self.labels for key in labels}
        return {key: _objects([labels.get(key) for labels in self.labels]) for key in keys}


def amounts(resources: Resources) -> NDArray[np.int64]:
    """`resources` as a row of `capacity` or `claimed`: shape (3,)."""
    return np.array([resources.cpu_millicores, resources.memory_bytes, resources.disk_bytes], dtype=np.int64)


def _amounts(many: Sequence[Resources]) -> NDArray[np.int64]:
    return np.array([amounts(one) for one in many], dtype=np.int64).reshape(len(many), 3)


def _objects(values: Sequence[Any]) -> NDArray[np.object_]:
    column = np.empty(len(values), dtype=np.object_)
    column[:] = values
    return column
