"""Problems: what is one, what is not, and that nothing is said twice or taken back too early."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfinder.controllers import marks
from pathfinder.controllers.container_problems import EACH
from pathfinder.controllers.deployment_problems import metrics_unknown
from pathfinder.controllers.noticing import PATIENCE, USUAL, Known, Noticing, words
from pathfinder.controllers.problems import Verdict, judge
from pathfinder.controllers.situation import (
    Claimed,
    ClusterRef,
    Failing,
    NodeRef,
    NodeSeen,
    PluginFailing,
    RoleSeen,
    Situation,
    Standby,
    Stuck,
    Survival,
    Waiting,
)
from pathfinder.controllers.wishes import Unknown
from pathfinder.domain.messages import Kind
from pathfinder.domain.problems import TOLD_ELSEWHERE, Problem, ProblemKind, Severity, event_of

ID = UUID(int=1)
HERE = ClusterRef(ID, "default")
WELL = Situation(
    roles=(
        RoleSeen("relay", "one", 1),
        RoleSeen("relay", "two", 2),
        *(RoleSeen(role, "one", 0) for role in ("api", "controller", "recorder", "scheduler")),
    ),
    queues={"pathfinder.scheduler": 10},
    claimed=(Claimed(HERE, "memory", 5, 10), Claimed(HERE, "CPU", 0, 0)),
    standbys=(Standby("two", True, 100, 0.1),),
    survivals=(Survival(HERE, 3, True),),
)


def keys(situation: Situation, *open_keys: str) -> set[str]:
    """The keys of the problems there are."""
    return {one.key for one in judge(situation, open_keys).present}


def test_nothing_is_wrong_where_all_is_well() -> None:
    """Also with nothing there at all."""
    assert keys(WELL) == set()
    assert keys(Situation()) == set()


@pytest.mark.parametrize(
    ("changes", "key", "severity"),
    [
        ({"roles": (RoleSeen("relay", "one", 16), *WELL.roles[2:])}, "service.down:relay", "critical"),
        ({"roles": WELL.roles[2:]}, "service.down:relay", "critical"),
        ({"roles": (RoleSeen("relay", "one", 1, "postgresql: no"), *WELL.roles[2:])}, "service.down:relay", "critical"),
        ({"roles": (*WELL.roles, RoleSeen("relay", "old", 60))}, "service.down:relay on old", "warning"),
        ({"roles": (*WELL.roles, RoleSeen("relay", "one", 60))}, "service.down:relay on one", "warning"),
        ({"broker_silent": 11.0}, "broker.down:RabbitMQ", "critical"),
        ({"standbys": (Standby("two", True, 1 << 30),)}, "database.replication_lag:two", "warning"),
        ({"standbys": (Standby("two", True, 0, 31),)}, "database.replication_lag:two", "warning"),
        ({"standbys": (Standby("two", False),)}, "database.replication_lag:two", "warning"),
        ({"queues": {"pathfinder.recorder": 5000}}, "queue.backlog:pathfinder.recorder", "warning"),
        ({"outbox_oldest": 31.0}, "outbox.backlog:outbox", "critical"),
        ({"dead_letters": 1}, "dead.letters:dead letters", "warning"),
        ({"nodes": (NodeSeen(ID, "node-1", HERE, True),)}, "node.down:node-1", "critical"),
        ({"nodes": (NodeSeen(ID, "node-1", HERE, True, held_back="x is there"),)}, "node.down:node-1", "critical"),
        ({"nodes": (NodeSeen(ID, "node-1", HERE, False, aside="disk full"),)}, "node.set_aside:node-1", "warning"),
        ({"deaf": (NodeRef(ID, "node-1", HERE),)}, "node.deaf:node-1", "critical"),
        ({"mute": (NodeRef(ID, "node-1", HERE),)}, "node.runtime_down:node-1", "critical"),
        ({"stuck": (Stuck(NodeRef(ID, "node-1", HERE), 2, ("web",)),)}, "container.stuck:node-1", "critical"),
        ({"failing": (Failing(ID, "web", HERE, missing=3),)}, "container.crash_looping:default/web", "warning"),
        ({"failing": (Failing(ID, "web", HERE, attempts=3),)}, "container.crash_looping:default/web", "warning"),
        ({"failing": (Failing(ID, "web", HERE, restarts=3),)}, "container.crash_looping:default/web", "warning"),
        ({"unplaceable": (Waiting(HERE, 9, ("web",)),)}, "container.unplaceable:default", "warning"),
        ({"lost": (Waiting(HERE, 1, ("web",)),)}, "container.lost:default", "critical"),
        ({"plugins": (PluginFailing(HERE, "filter x", "hung"),)}, "policy.plugin_failed:default/filter x", "warning"),
        ({"claimed": (Claimed(HERE, "disk", 9, 10),)}, "capacity.low:default/disk", "warning"),
        ({"survivals": (Survival(HERE, 2, False),)}, "resilience.lost:default", "warning"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(changes: dict[str, object], key: str, severity: str) -> None:
    """One problem, with a sentence each for what is wrong and what to do."""
    (problem,) = judge(replace(WELL, **changes)).present  # type: ignore[arg-type]

    assert (problem.key, problem.severity) == (key, severity)
    assert len(problem.summary) > 20
    assert len(problem.advice) > 20


def test_metrics_that_cannot_be_told_are_one_problem_of_their_deployment() -> None:
    """The first with their reasons, the others counted; what to do names the deployment in its cluster."""
    failing = [Unknown(f"queue-{number}", "answered 503") for number in range(5)]

    problem = metrics_unknown(HERE, ID, "web", failing)

    assert (problem.key, problem.severity) == ("deployment.metric_unknown:default/web", "warning")
    assert problem.summary.endswith(
        "told: queue-0 (answered 503), queue-1 (answered 503), queue-2 (answered 503), and 2 more."
    )
    assert "`pfi --cluster default explain autoscaling web`" in problem.advice
    assert metrics_unknown(HERE, ID, "web", failing[:1]).summary.endswith("told: queue-0 (answered 503).")


def test_whoever_does_not_ask_the_sources_says_nothing_of_them() -> None:
    """What the general look would not find stays open, for as long as whoever asks has not said that it is over."""
    kind = ProblemKind.DEPLOYMENT_METRIC_UNKNOWN
    open_ = {"deployment.metric_unknown:default/web": Known(kind, ("warning", "a", "b"))}
    noticing = Noticing()

    assert not noticing.news(judge(WELL, open_), open_, 0.0)
    assert not noticing.news(judge(WELL, open_), open_, 1000.0)
    noticing.news(Verdict((), frozenset()), open_, 1000.0)
    ended = 1000.0 + PATIENCE[kind].ends
    assert noticing.news(Verdict((), frozenset()), open_, ended).ended == tuple(open_)


@pytest.mark.parametrize(
    "changes",
    [
        {"roles": (*WELL.roles, RoleSeen("relay", "old", 4000))},  # taken away on purpose
        {"roles": (*WELL.roles, RoleSeen("api", "two", 1, "rabbitmq: no"))},  # another one works
        {"nodes": (NodeSeen(ID, "node-1", HERE, True, expected=True),)},  # it reboots
        {"survivals": (Survival(HERE, 1, False),)},  # one node has nowhere to go
        {"failing": (Failing(ID, "web", HERE, missing=2, attempts=2),)},
    ],
)
def test_what_is_expected_is_no_problem(changes: dict[str, object]) -> None:
    """Nobody is woken for it."""
    assert keys(replace(WELL, **changes)) == set()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("opens", "between", "ends"),
    [
        ({"queues": {"q": 5000}}, {"queues": {"q": 1000}}, {"queues": {"q": 999}}),
        ({"outbox_oldest": 30.0}, {"outbox_oldest": 5.0}, {"outbox_oldest": 4.9}),
        ({"claimed": (Claimed(HERE, "d", 90, 100),)}, {"claimed": (Claimed(HERE, "d", 85, 100),)}, {"claimed": ()}),
        ({"broker_silent": 10.0}, {"broker_silent": 0.1}, {"broker_silent": 0.0}),
        (
            {"failing": (Failing(ID, "web", HERE, missing=3),)},
            {"failing": (Failing(ID, "web", HERE, missing=2),)},
            {"failing": (Failing(ID, "web", HERE, missing=1),)},
        ),
    ],
)
def test_a_problem_stays_until_the_lower_mark(
    opens: dict[str, object], between: dict[str, object], ends: dict[str, object]
) -> None:
    """Between the marks everything stays as it was."""
    (key,) = keys(replace(WELL, **opens))  # type: ignore[arg-type]

    assert keys(replace(WELL, **between)) == set()  # type: ignore[arg-type]
    assert keys(replace(WELL, **between), key) == {key}  # type: ignore[arg-type]
    assert keys(replace(WELL, **ends), key) == set()  # type: ignore[arg-type]


def test_many_failing_containers_are_told_together() -> None:
    """The first by themselves, those that are open already first of all; the rest in one."""
    failing = tuple(Failing(UUID(int=n), f"c-{n:03}", HERE, missing=5) for n in range(EACH + 5))
    already = "container.crash_looping:default/c-024"

    present = judge(replace(WELL, failing=failing), {already}).present

    assert len(present) == EACH + 1
    assert present[0].key == already
    assert present[-1].summary.startswith("5 more containers")


def test_every_kind_becomes_an_event_or_is_one_already() -> None:
    """No kind is forgotten on either side."""
    assert {kind for kind in ProblemKind if event_of(kind) is None} == TOLD_ELSEWHERE
    assert all(event_of(kind) in Kind for kind in set(ProblemKind) - TOLD_ELSEWHERE)


# In time

SOME = Problem(ProblemKind.NODE_DOWN, Severity.CRITICAL, "node-1", "Node node-1 is DOWN.", "Look at it.")
DEEP = Problem(ProblemKind.QUEUE_BACKLOG, Severity.WARNING, "q", "Too much waits.", "Start more.")


def told(*those: Problem) -> dict[str, Known]:
    """These are open."""
    return {one.key: Known(one.kind, words(one)) for one in those}


def verdict(*present: Problem, unknown: frozenset[ProblemKind] = frozenset()) -> Verdict:
    """These are there."""
    return Verdict(present, unknown)


def test_a_problem_is_opened_once_and_ends_once() -> None:
    """While it is open nothing more is said."""
    noticing = Noticing()

    assert noticing.news(verdict(SOME), {}, 0).opened == (SOME,)
    assert not noticing.news(verdict(SOME), told(SOME), 3)
    assert not noticing.news(verdict(), told(SOME), 6)
    assert noticing.news(verdict(), told(SOME), 6 + PATIENCE[SOME.kind].ends).ended == (SOME.key,)
    assert not noticing.news(verdict(), {}, 60)


def test_what_passes_by_itself_is_not_told() -> None:
    """A backlog must last."""
    noticing = Noticing()

    assert not noticing.news(verdict(DEEP), {}, 0)
    assert not noticing.news(verdict(DEEP), {}, 9)
    assert not noticing.news(verdict(), {}, 12)
    assert not noticing.news(verdict(DEEP), {}, 15)
    assert noticing.news(verdict(DEEP), {}, 25).opened == (DEEP,)


def test_what_is_not_known_stays_as_it_was() -> None:
    """While RabbitMQ does not answer, nobody says that its queues are empty."""
    noticing = Noticing()

    for now in range(0, 1000, 10):
        assert not noticing.news(verdict(unknown=frozenset({DEEP.kind})), told(DEEP), now)


def test_a_problem_that_changes_its_words_is_the_same_problem() -> None:
    """Its row says what is true now; nobody is told again."""
    changed = replace(SOME, summary="Node node-1 is DOWN: 2 wait.")

    news = Noticing().news(verdict(changed), told(SOME), 0)

    assert (news.opened, news.changed, news.ended) == ((), (changed,), ())


@given(st.lists(st.booleans(), max_size=200))
def test_nothing_flaps(looks: list[bool]) -> None:
    """However a condition swings at a look every 3 s: told and ended alternate, and never within the patience."""
    noticing, known, said = Noticing(), dict[str, Known](), list[tuple[int, str]]()
    for number, there in enumerate(looks):
        news = noticing.news(verdict(*[SOME] * there), known, 3.0 * number)
        said += [(number, "opened") for _ in news.opened] + [(number, "ended") for _ in news.ended]
        known = known | told(*news.opened)
        known = {key: one for key, one in known.items() if key not in news.ended}

    assert [word for _, word in said] == ["opened", "ended"] * (len(said) // 2) + ["opened"] * (len(said) % 2)
    opened = [number for number, word in said if word == "opened"]
    ended = [number for number, word in said if word == "ended"]
    assert all((end - start) * 3 >= PATIENCE[SOME.kind].ends for start, end in zip(opened, ended, strict=False))


@given(st.floats(0, 2), st.booleans())
def test_marks_never_contradict_themselves(value: float, was: bool) -> None:
    """Whatever opens a problem also keeps it open."""
    for mark in (one for one in vars(marks).values() if isinstance(one, marks.Mark)):
        scaled = value * mark.opens
        assert not (mark.passed(scaled, False) and not mark.passed(scaled, True))
        assert mark.ends <= mark.opens
    assert USUAL.ends > 0
