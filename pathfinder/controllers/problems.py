"""From a situation to the problems in it. Pure; what makes them hold still in time is in noticing.py.

Every mark has two values: a problem opens at the first and stays until the second, lower one is passed, so that what
swings round a mark is said once.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from pathfinder.controllers.situation import (
    ClusterRef,
    Failing,
    NodeRef,
    NodeSeen,
    RoleSeen,
    Situation,
    Stuck,
    Waiting,
)
from pathfinder.domain.problems import Problem, ProblemKind, Severity


@dataclass(frozen=True, slots=True)
class Mark:
    """A value at which a problem opens, and the lower one below which it is over."""

    opens: float
    ends: float

    def passed(self, value: float, is_open: bool) -> bool:
        """Whether there is a problem with `value`, given whether there was one."""
        return value >= (self.ends if is_open else self.opens)


#: Without one of these Pathfinder does nothing, whether or not anybody remembers that there was one. The controller is
#: who looks.
NEEDED = ("api", "recorder", "relay", "scheduler")
#: Processes say every few seconds that they live; three times missed is no accident.
SILENT_SECONDS = Mark(15, 15)
#: A process that has been silent so long was taken away on purpose, unless it was the last of its role.
FORGOTTEN_SECONDS = 3600.0
#: RabbitMQ restarts within this time without anybody having to know.
BROKER_SILENT_SECONDS = Mark(10, 0.001)
#: Far below the bounds of the queues (topology.py), above what a burst of creates or a broker's restart leaves there.
QUEUE_MESSAGES = Mark(5_000, 1_000)
#: A row is published within milliseconds; at half a minute nobody publishes, or the broker takes nothing.
OUTBOX_SECONDS = Mark(30, 5)
DEAD_LETTERS = Mark(1, 1)
#: Gone three times in the ten minutes that are counted is no accident; quiet again once it was gone at most once.
MISSING_TIMES = Mark(3, 2)
#: The first failures are retried within seconds and mostly end there.
FAILED_ATTEMPTS = Mark(3, 1)
#: Above nine tenths there is hardly a node left to take what is on another.
CLAIMED_SHARE = Mark(0.90, 0.85)
#: What a standby may be behind: a promotion replays it first, or loses it.
STANDBY_BYTES = Mark(64 << 20, 16 << 20)
STANDBY_SECONDS = Mark(30, 5)
#: More containers than this of one cluster are told of together, not each by itself.
EACH = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """The problems there are, and the kinds of which nothing is known just now: what is open of those stays."""

    present: tuple[Problem, ...]
    unknown: frozenset[ProblemKind]


def judge(now: Situation, open_keys: Collection[str] = ()) -> Verdict:
    """The problems in the situation; `open_keys` are those that were open before it."""
    unknown = set()
    if now.queues is None:
        unknown.add(ProblemKind.QUEUE_BACKLOG)
    if now.deaf is None:
        unknown.add(ProblemKind.NODE_DEAF)
    if now.stuck is None:
        unknown.add(ProblemKind.CONTAINER_STUCK)
    if now.survivals is None:
        unknown.add(ProblemKind.RESILIENCE_LOST)
    machinery = (_services, _broker, _standbys, _queues, _outbox, _dead)
    rules = (*machinery, _nodes, _hearing, _failing, _waiting, _stuck, _capacity, _survival, _plugins)
    return Verdict(tuple(one for rule in rules for one in rule(now, open_keys)), frozenset(unknown))


def _when(passed: bool, problem: Problem) -> Iterator[Problem]:
    if passed:
        yield problem


def _services(now: Situation, open_keys: Collection[str]) -> Iterator[Problem]:
    """Where nobody has ever said a word, not even the process that looks, nothing is concluded."""
    by_role: dict[str, list[RoleSeen]] = {role: [] for role in (NEEDED if now.roles else ())}
    for seen in now.roles:
        by_role.setdefault(seen.role, []).append(seen)
    for role, processes in sorted(by_role.items()):
        alive = [one for one in processes if one.silent < SILENT_SECONDS.opens]
        advice = f"See its log (`pathfinder logs {role}`) and start it (`pathfinder up`, or `pathfinder run {role}`)."
        down = Problem(
            ProblemKind.SERVICE_DOWN, Severity.CRITICAL, role, f"No {role} runs: its work is not done.", advice
        )
        if not alive:
            yield down
        elif all(one.wrong for one in alive):
            words = f"No {role} can work: {alive[0].wrong}"
            yield replace(down, summary=words, advice=f"Mend what it needs; `pathfinder status` and {role}'s log tell.")
        else:
            yield from _gone(role, processes, advice)


def _gone(role: str, processes: Iterable[RoleSeen], advice: str) -> Iterator[Problem]:
    """Hosts on which a process of a role ran lately and does no more, while the role goes on."""
    missed = {one.host for one in processes if SILENT_SECONDS.opens <= one.silent < FORGOTTEN_SECONDS}
    for host in sorted(missed):
        summary = f"A {role} on {host} is gone; others do its work."
        subject = f"{role} on {host}"
        yield Problem(ProblemKind.SERVICE_DOWN, Severity.WARNING, subject, summary, f"On {host}: {advice}")


def _broker(now: Situation, open_keys: Collection[str]) -> Iterator[Problem]:
    problem = Problem(
        ProblemKind.BROKER_DOWN,
        Severity.CRITICAL,
        "RabbitMQ",
        "RabbitMQ does not answer: nothing new is started. What runs goes on, what was asked for is kept.",
        "Start RabbitMQ (`pathfinder up` where it is embedded); PATHFINDER_BROKER_URL says where it should be.",
    )
    return _when(BROKER_SILENT_SECONDS.passed(now.broker_silent, problem.key in open_keys), problem)


def _standbys(now: Situation, open_keys: Collection[str]) -> Iterator[Problem]:
    for standby in now.standbys:
        problem = Problem(
            ProblemKind.DATABASE_REPLICATION_LAG,
            Severity.WARNING,
            standby.name,
            f"PostgreSQL's standby {standby.name} is behind: a promotion now would lose what it has not got.",
            "Look at the standby's log and disk, and at the network between the two.",
        )
        was = problem.key in open_keys
        if not standby.connected:
            words = f"PostgreSQL's standby {standby.name} is not connected: nothing could take over."
            yield replace(problem, summary=words)
        elif STANDBY_BYTES.passed(standby.bytes_behind, was) or STANDBY_SECONDS.passed(standby.seconds_behind, was):
            yield problem


def _queues(now: Situation, open_keys: Collection[str]) -> Iterator[Problem]:
    for name, depth in sorted((now.queues or {}).items()):
        role = "scheduler" if name.endswith("scheduler") else "recorder"
        problem = Problem(
            ProblemKind.QUEUE_BACKLOG,
            Severity.WARNING,
            name,
            f"Messages pile up in {name}: the {role} does not keep up, or does not work.",
            f"See that a {role} runs and is ready (`pathfinder status`), and start more of them.",
        )
        yield from _when(QUEUE_MESSAGES.passed(depth, problem.key in open_keys), problem)


def _outbox(now: Situation, open_keys: Collection[str]) -> Iterator[Problem]:
    problem = Problem(
        ProblemKind.OUTBOX_BACKLOG,
        Severity.CRITICAL,
        "outbox",
        "What was committed is not published: the relay does not work, or RabbitMQ takes nothing.",
        "See that a relay runs and is ready (`pathfinder status`), and that RabbitMQ has disk and memory left.",
    )
    return _when(OUTBOX_SECONDS.passed(now.outbox_oldest, problem.key in open_keys), problem)


def _dead(now: Situation, open_keys: Collection[str]) -> Iterator[Problem]:
    problem = Problem(
        ProblemKind.DEAD_LETTERS,
        Severity.WARNING,
        "dead letters",
        "There are messages that nobody could process.",
        "`pfi dead list` shows them, `pfi dead show` says why; then `pfi dead replay` or `pfi dead drop`.",
    )
    return _when(DEAD_LETTERS.passed(now.dead_letters, problem.key in open_keys), problem)


def _nodes(now: Situation, open_keys: Collection[str]) -> Iterator[Problem]:
    for node in now.nodes:
        about = Problem(
            ProblemKind.NODE_SET_ASIDE,
            Severity.WARNING,
            node.hostname,
            f"Node {node.hostname} is set aside: {node.aside}",
            f"Mend it (`pfi describe node {node.hostname}` tells more); it is tried again by itself.",
            cluster_id=node.cluster.id,
            subject_type="node",
            subject_id=node.id,
        )
        if node.aside is not None and not node.down:
            yield about
        if node.down and not node.expected:
            yield _down(node, about)


def _down(node: NodeSeen, about: Problem) -> Problem:
    summary = f"Node {node.hostname} is DOWN: it sends no heartbeats."
    advice = (
        f"Look at the machine, its network and its agent (`pfi describe node {node.hostname}`); "
        f"if it will not come back: `pfi delete node {node.hostname}`."
    )
    if node.held_back is not None:
        summary = f"Node {node.hostname} is heard, but stays DOWN: {node.held_back}."
        advice = f"Look at LXD on {node.hostname} and at its agent's log; what cannot be deleted, remove by hand."
    waits = f" {node.lost} container(s) wait for it." if node.lost else ""
    return replace(
        about, kind=ProblemKind.NODE_DOWN, severity=Severity.CRITICAL, summary=summary + waits, advice=advice
    )


def _hearing(now: Situation, open_keys: Collection[str]) -> Iterator[Problem]:
    """Nodes that look alive and do nothing: nobody there listens, or LXD does not answer the agent."""
    for node in now.deaf or ():
        yield _of_node(
            node,
            ProblemKind.NODE_DEAF,
            f"Node {node.hostname} sends heartbeats, but listens for no commands: what is placed there does not start.",
            f"Restart its agent: `systemctl restart pathfinder@agent` on {node.hostname}; until then "
            f"`pfi cordon node {node.hostname}` keeps new containers away.",
        )
    for node in now.mute:
        yield _of_node(
            node,
            ProblemKind.NODE_RUNTIME_DOWN,
            f"Node {node.hostname} sends heartbeats, but its LXD does not answer: nothing starts or stops there.",
            f"See that LXD runs on {node.hostname} (`lxc info`, its journal); until then "
            f"`pfi cordon node {node.hostname}` keeps new containers away.",
        )


def _stuck(now: Situation, open_keys: Collection[str]) -> Iterator[Problem]:
    for stuck in now.stuck or ():
        yield _of_node(
            stuck.node,
            ProblemKind.CONTAINER_STUCK,
            f"{_some(stuck)} on {stuck.node.hostname} neither started nor went away since they should have, although "
            "the node is READY.",
            f"`pfi --cluster {stuck.node.cluster.name} describe container {stuck.examples[0]}` tells what happened; "
            f"look at the agent's log on {stuck.node.hostname} and restart it if it hangs.",
        )


def _of_node(node: NodeRef, kind: ProblemKind, summary: str, advice: str) -> Problem:
    return Problem(kind, Severity.CRITICAL, node.hostname, summary, advice, node.cluster.id, "node", node.id)


def _failing(now: Situation, open_keys: Collection[str]) -> Iterator[Problem]:
    found: dict[ClusterRef, list[Problem]] = defaultdict(list)
    for container in now.failing:
        problem = _crash_looping(container)
        was = problem.key in open_keys
        if MISSING_TIMES.passed(container.missing, was) or FAILED_ATTEMPTS.passed(container.attempts, was):
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


def _some(waiting: Waiting | Stuck) -> str:
    more = ", …" if waiting.count > len(waiting.examples) else ""
    return f"{waiting.count} container(s) ({', '.join(waiting.examples)}{more})"


def _of_cluster(it: Waiting, kind: ProblemKind, severity: Severity, summary: str, advice: str) -> Problem:
    cluster = it.cluster
    return Problem(kind, severity, cluster.name, summary, advice, cluster.id, "cluster", cluster.id)


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
        yield from _when(CLAIMED_SHARE.passed(claimed.share, problem.key in open_keys), problem)


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
