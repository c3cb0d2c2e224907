"""What is wrong with the machinery: roles, RabbitMQ, PostgreSQL's standbys, and what piles up between them."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from pathfinder.controllers.marks import (
    BROKER_SILENT_SECONDS,
    DEAD_LETTERS,
    OUTBOX_SECONDS,
    QUEUE_MESSAGES,
    SILENT_SECONDS,
    STANDBY_BYTES,
    STANDBY_SECONDS,
)
from pathfinder.controllers.situation import RoleSeen, Situation
from pathfinder.domain.problems import Problem, ProblemKind, Severity

#: Without one of these Pathfinder does nothing, whether or not anybody remembers that there was one. The controller is
#: who looks.
NEEDED = ("api", "recorder", "relay", "scheduler")
#: A process that has been silent so long was taken away on purpose, unless it was the last of its role.
FORGOTTEN_SECONDS = 3600.0


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


RULES = (_services, _broker, _standbys, _queues, _outbox, _dead)
