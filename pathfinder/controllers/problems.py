"""From a situation to the problems in it. Pure; what makes them hold still in time is in noticing.py.

The rules are in modules of their own, by what is wrong; the values at which something becomes a problem in marks.py.
"""

from collections.abc import Collection
from dataclasses import dataclass

from pathfinder.controllers import cluster_problems, container_problems, node_problems, service_problems
from pathfinder.controllers.situation import Situation
from pathfinder.domain.problems import Problem, ProblemKind

#: Each tells the problems of its kind in a situation, given the keys of those that were open.
RULES = (*service_problems.RULES, *node_problems.RULES, *container_problems.RULES, *cluster_problems.RULES)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The problems there are, and the kinds of which nothing is known just now: what is open of those stays."""

    present: tuple[Problem, ...]
    unknown: frozenset[ProblemKind]


def judge(now: Situation, open_keys: Collection[str] = ()) -> Verdict:
    """The problems in the situation; `open_keys` are those that were open before it."""
    # Told by whoever asks the sources, and by nobody else.
    unknown = {ProblemKind.DEPLOYMENT_METRIC_UNKNOWN}
    if now.queues is None:
        unknown.add(ProblemKind.QUEUE_BACKLOG)
    if now.deaf is None:
        unknown.add(ProblemKind.NODE_DEAF)
    if now.stuck is None:
        unknown.add(ProblemKind.CONTAINER_STUCK)
    if now.survivals is None:
        unknown.add(ProblemKind.RESILIENCE_LOST)
    return Verdict(tuple(one for rule in RULES for one in rule(now, open_keys)), frozenset(unknown))
