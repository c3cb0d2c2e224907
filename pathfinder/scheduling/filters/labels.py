"""Only nodes that carry the labels the request asks for."""

import numpy as np

from pathfinder.scheduling.fleet import Fleet, Mask
from pathfinder.scheduling.request import Request


class Labels:
    """Rejects nodes without the wanted labels."""

    name = "labels"
    wakes = frozenset({"node.registered"})

    def mask(self, fleet: Fleet, request: Request) -> Mask:
        """Nodes that have every wanted label with the wanted value."""
        mask = np.ones(len(fleet), dtype=np.bool_)
        for key, value in request.node_labels.items():
            column = fleet.label_columns.get(key)
            if column is None:
                return np.zeros(len(fleet), dtype=np.bool_)
            mask &= column == value
        return mask

    def reason(self, fleet: Fleet, request: Request, rejected: Mask) -> str:
        """The labels that were asked for."""
        wanted = ", ".join(f"{key}={value}" for key, value in sorted(request.node_labels.items()))
        return f"node lacks the labels {wanted}"
