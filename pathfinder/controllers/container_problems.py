"""What is wrong with containers: those that do not stay up, wait, are lost, or got stuck."""

from collections import defaultdict
from collections.abc import Collection, Iterator

from pathfinder.controllers.marks import FAILED_ATTEMPTS, MISSING_TIMES, RESTARTS
from pathfinder.controllers.node_problems import of_node
from pathfinder.controllers.situation import ClusterRef, Failing, Situation, Stuck, Waiting
from pathfinder.domain.problems import Problem, ProblemKind, Severity

#: More containers than this of one cluster are told of together, not each by itself.
EACH = 20


def _failing(now: Situation, open_keys: Collection[str]) -> Iterator[Problem]:
    found: dict[ClusterRef, list[Problem]] = defaultdict(list)
    for container in now.failing:
        problem = _crash_looping(container)
        was = problem.key in open_keys
        if (
            MISSING_TIMES.passed(container.missing, was)
            or FAILED_ATTEMPTS.passed(container.attempts, was)
            or RESTARTS.passed(container.restarts, was)
        ):
            found[container.cluster].append(problem)
    for cluster, problems in found.items():
        # Those that were told of by themselves go on so.
        problems.sort(key=lambda one: (one.key not in open_keys, one.key))
        yield from problems[:EACH]
        if rest := problems[EACH:]:
            yield Problem(
                ProblemKind.CONTAINER_CRASH_LOOPING,
                Severity.WARNING,
                cluster.name,
                f"{len(rest)} more containers of cluster {cluster.name} do not stay up.",
                f"`pfi --cluster {cluster.name} get events --kind container.missing`, and "
                "`… --kind container.provision_failed`, show which and why.",
                cluster_id=cluster.id,
                subject_type="cluster",
                subject_id=cluster.id,
            )


def _crash_looping(it: Failing) -> Problem:
    if it.missing:
        summary = f"Container {it.hostname} does not stay up: its instance stopped or vanished again and again."
    elif it.restarts:
        why = f": {it.message}" if it.message else "."
        summary = f"Container {it.hostname} does not stay up: restarted {it.restarts} times in a row{why}"
    else:
        summary = f"Container {it.hostname} cannot be made: {it.message or 'each try failed'}"
    return Problem(
        ProblemKind.CONTAINER_CRASH_LOOPING,
        Severity.WARNING,
        it.hostname,
        summary,
        f"`pfi --cluster {it.cluster.name} describe container {it.hostname}` tells what happened to it.",
        cluster_id=it.cluster.id,
        subject_type="container",
        subject_id=it.id,
        scope=f"{it.cluster.name}/{it.hostname}",
    )


def _waiting(now: Situation, open_keys: Collection[str]) -> Iterator[Problem]:
    for waiting in now.unplaceable:
        advice = f"`pfi --cluster {waiting.cluster.name} explain container {waiting.examples[0]}` tells why; "
        yield _of_cluster(
            waiting,
            ProblemKind.CONTAINER_UNPLACEABLE,
            Severity.WARNING,
            f"{_some(waiting)} of cluster {waiting.cluster.name} cannot be placed: {waiting.reason}",
            advice + "add a node, uncordon one, or delete what is not needed.",
        )
    for waiting in now.lost:
        yield _of_cluster(
            waiting,
            ProblemKind.CONTAINER_LOST,
            Severity.CRITICAL,
            f"{_some(waiting)} of cluster {waiting.cluster.name} do not run: their nodes are DOWN or disks gone.",
            "Bring the nodes back; or start them afresh elsewhere, without what was on their disks: "
            f"`pfi --cluster {waiting.cluster.name} reschedule container {waiting.examples[0]}`.",
        )


def _stuck(now: Situation, open_keys: Collection[str]) -> Iterator[Problem]:
    for stuck in now.stuck or ():
        yield of_node(
            stuck.node,
            ProblemKind.CONTAINER_STUCK,
            f"{_some(stuck)} on {stuck.node.hostname} neither started nor went away since they should have, although "
            "the node is READY.",
            f"`pfi --cluster {stuck.node.cluster.name} describe container {stuck.examples[0]}` tells what happened; "
            f"look at the agent's log on {stuck.node.hostname} and restart it if it hangs.",
        )


def _some(waiting: Waiting | Stuck) -> str:
    more = ", …" if waiting.count > len(waiting.examples) else ""
    return f"{waiting.count} container(s) ({', '.join(waiting.examples)}{more})"


def _of_cluster(it: Waiting, kind: ProblemKind, severity: Severity, summary: str, advice: str) -> Problem:
    cluster = it.cluster
    return Problem(kind, severity, cluster.name, summary, advice, cluster.id, "cluster", cluster.id)


RULES = (_failing, _waiting, _stuck)
