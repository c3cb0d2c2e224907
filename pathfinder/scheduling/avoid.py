"""Which of the possible nodes a request is kept away from, because it failed there."""

import numpy as np

from pathfinder.scheduling.fleet import Fleet, Mask
from pathfinder.scheduling.request import Request

#: What explanations call it, as if it were a filter; but unlike a filter it never leaves a request without a node.
NAME = "avoid"
REASON = "the container failed to start there"


def avoided(fleet: Fleet, request: Request, possible: Mask) -> Mask | None:
    """The nodes among the `possible` ones that the request had better not go to; None where there are none.

    All on which it failed, as long as another node is possible; else all but the one where it failed first.
    """
    if not request.avoid:
        return None
    failed = [row for host in request.avoid if (row := fleet.names.index_of.get(host)) is not None and possible[row]]
    if len(failed) == np.count_nonzero(possible):
        failed = failed[1:]
    if not failed:
        return None
    mask = np.zeros(len(fleet), dtype=np.bool_)
    mask[failed] = True
    return mask
