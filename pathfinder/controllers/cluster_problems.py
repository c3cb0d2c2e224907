"""What is wrong with a cluster as a whole: little room, a death it would not survive, a plugin that fails."""

from collections.abc import Collection, Iterator

from pathfinder.controllers.marks import CLAIMED_SHARE
from pathfinder.controllers.situation import Situation
from pathfinder.domain.problems import Problem, ProblemKind, Severity


def _capacity(now: Situation, open_keys: Collection[str]) -> Iterator[Problem]:
    for claimed in now.claimed:
        name = claimed.cluster.name
        problem = Problem(
            ProblemKind.CAPACITY_LOW,
            Severity.WARNING,
            name,
            f"Cluster {name} has hardly any {claimed.resource} left that is not claimed.",
            f"Add a node, or delete what is not needed; `pfi --cluster {name} get nodes -o wide` shows who claims.",
            cluster_id=claimed.cluster.id,
            subject_type="cluster",
            subject_id=claimed.cluster.id,
            scope=f"{name}/{claimed.resource}",
        )
        if CLAIMED_SHARE.passed(claimed.share, problem.key in open_keys):
            yield problem


def _survival(now: Situation, open_keys: Collection[str]) -> Iterator[Problem]:
    for survival in now.survivals or ():
        # A single node has nothing to go to from the first day on: that is no news.
        if not survival.survives and survival.nodes > 1:
            name = survival.cluster.name
            yield Problem(
                ProblemKind.RESILIENCE_LOST,
                Severity.WARNING,
                name,
                f"Cluster {name} would not survive the death of any one node: {survival.words}",
                f"`pfi --cluster {name} resilience` shows which; add a node, uncordon one, or bring back what is DOWN.",
                cluster_id=survival.cluster.id,
                subject_type="cluster",
                subject_id=survival.cluster.id,
            )


def _plugins(now: Situation, open_keys: Collection[str]) -> Iterator[Problem]:
    for failing in now.plugins:
        name = failing.cluster.name
        yield Problem(
            ProblemKind.POLICY_PLUGIN_FAILED,
            Severity.WARNING,
            failing.plugin,
            f"The {failing.plugin} is left out of placements of cluster {name}: it {failing.words}.",
            "Mend its package and start the schedulers anew, or take it out of the policy; until then the rest of the "
            "policy decides. The schedulers' log and `pfi explain container` show each case.",
            cluster_id=failing.cluster.id,
            subject_type="cluster",
            subject_id=failing.cluster.id,
            scope=f"{name}/{failing.plugin}",
        )


RULES = (_capacity, _survival, _plugins)
