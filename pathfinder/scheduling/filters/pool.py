"""Only nodes of the pool that the request asks for."""

import numpy as np

from pathfinder.domain import rules
from pathfinder.scheduling.fleet import Fleet, Mask
from pathfinder.scheduling.request import Ask


class Pool:
    """Rejects nodes of other pools: a pool's nodes take only containers that name it, or any."""

    name = "pool"
    lasting = True
    wakes = frozenset({"node.registered", "node.updated"})

    def mask(self, fleet: Fleet, ask: Ask) -> Mask:
        """Nodes of the wanted pool."""
        if ask.pool == rules.ANY_POOL:
            return np.ones(len(fleet), dtype=np.bool_)
        mask: Mask = fleet.names.kept(("pool", ask.pool), bool, lambda node: node.pool == ask.pool)[fleet.row]
        return mask

    def reason(self, fleet: Fleet, ask: Ask, rejected: Mask) -> str:
        """The pool that was asked for."""
        return f"node is not in the pool {ask.pool}"
