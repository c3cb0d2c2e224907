"""What the scheduler is asked to place."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pathfinder.domain.resources import Resources

#: Requests of equal shape can go to the same nodes with the same scores, so they share one evaluation.
Shape = tuple[Resources, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Request:
    """One container waiting for a placement. `node_labels` are the labels a node must have.

    `avoid` are the hostnames of nodes where it failed, the latest last: other nodes are preferred to them, and the
    earlier ones to the later. That is no part of its shape: it chooses among the nodes that the shape allows.
    """

    id: str
    resources: Resources = field(default_factory=Resources)
    node_labels: Mapping[str, str] = field(default_factory=dict)
    avoid: tuple[str, ...] = ()

    @property
    def shape(self) -> Shape:
        """What placement depends on."""
        return self.resources, tuple(sorted(self.node_labels.items()))
