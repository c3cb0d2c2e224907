"""Judging the whole: who is missed, what is wrong, and how bad that is."""

from datetime import UTC, datetime, timedelta

import pytest

from pathfinder.controllers.overview import Seen, findings, overall, processes
from pathfinder.domain.status import BrokerStatus, Finding, NodeQueues, OutboxStatus, Overall, RoleStatus

NOW = datetime(2026, 11, 24, tzinfo=UTC)
UP = BrokerStatus(reachable=True, queues=[], nodes=NodeQueues(queues=0, messages=0, worst=[]))
AWAY = UP.model_copy(update={"reachable": False})
EMPTY = OutboxStatus(rows=0, oldest_seconds=0)


def seen(role: str = "relay", silent: float = 1, runs: float = 600, host: str = "a", **parts: str) -> Seen:
    """A process heard `silent` seconds ago that began `runs` seconds ago."""
    at, began = NOW - timedelta(seconds=silent), NOW - timedelta(seconds=runs)
    return Seen(role, host, 7, "3", None, False, parts or {"postgresql": "ok"}, began, at, silent)


def all_roles(**silent: float) -> list[RoleStatus]:
    """One process of each role, heard a second ago unless told otherwise."""
    roles = ("api", "relay", "scheduler", "recorder", "controller")
    return processes(seen(role, silent.get(role, 1)) for role in roles)


def judge(
    roles: list[RoleStatus] | None = None,
    broker: BrokerStatus = UP,
    deaf: tuple[str, ...] = (),
    outbox: OutboxStatus = EMPTY,
    nodes: dict[str, int] | None = None,
    problems: tuple[Finding, ...] = (),
) -> list[Finding]:
    """What is wrong with a Pathfinder that is well but for what is given."""
    return findings(all_roles() if roles is None else roles, broker, deaf, outbox, nodes or {"ready": 3}, problems)


def test_nothing_is_wrong_where_all_is_well() -> None:
    """Neither with nodes nor with none yet."""
    assert judge() == judge(nodes={}) == []
    assert overall([]) == Overall.OK


def test_a_process_that_was_replaced_is_not_missed() -> None:
    """It was killed and started again: the new one began after the old one fell silent."""
    shown = processes([seen(silent=60), seen(silent=1, runs=50)])

    assert [one.state for one in shown] == ["ready"]


def test_a_sibling_that_ran_before_replaces_nobody() -> None:
    """Two ran, one died, one is left."""
    assert [one.state for one in processes([seen(silent=60), seen()])] == ["ready", "down"]


def test_one_new_process_replaces_one_that_died_not_two() -> None:
    """The one on its own host, if there is a choice."""
    shown = processes([seen(silent=60), seen(silent=61, host="b"), seen(silent=1, runs=50)])

    assert [(one.host, one.state) for one in shown] == [("a", "ready"), ("b", "down")]


@pytest.mark.parametrize("role", ["relay", "scheduler", "recorder"])
def test_without_one_of_these_roles_nothing_new_runs(role: str) -> None:
    """Be it that it died or that it never was."""
    for roles in (all_roles(**{role: 16}), [one for one in all_roles() if one.role != role]):
        (found,) = judge(roles)
        assert (found.severity, found.subject) == ("critical", role)
        assert overall([found]) == Overall.DOWN


def test_without_a_controller_it_is_degraded() -> None:
    """Containers are run all the same."""
    assert overall(judge(all_roles(controller=16))) == Overall.DEGRADED


def test_a_process_whose_part_is_away_is_named_with_the_part() -> None:
    """So that the reader knows where to look."""
    roles = [*all_roles(), *processes([seen("relay", host="b", rabbitmq="not connected; trying again")])]

    (found,) = judge(roles)

    assert "relay on b cannot work: rabbitmq: not connected" in found.summary
    assert overall([found]) == Overall.DEGRADED


def test_without_rabbitmq_it_is_down() -> None:
    """Nothing new is started."""
    assert overall(judge(broker=AWAY)) == Overall.DOWN


def test_a_node_that_lives_but_does_not_listen_is_found() -> None:
    """The worst kind of alive: heartbeats come, commands are not taken."""
    (found,) = judge(deaf=("node-01",))

    assert found.kind == "node.deaf"
    assert "node-01" in found.summary


def test_many_deaf_nodes_are_not_listed_one_by_one() -> None:
    """A screen has an end."""
    found = judge(deaf=tuple(f"node-{n:02d}" for n in range(30)))

    assert len(found) == 5
    assert any("25 more" in one.summary for one in found)


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ({"ready": 2, "down": 1}, Overall.DEGRADED),
        ({"ready": 2, "cordoned": 1}, Overall.OK),
        ({"down": 1, "cordoned": 2}, Overall.DOWN),
    ],
)
def test_nodes_are_judged_by_what_is_left(nodes: dict[str, int], expected: Overall) -> None:
    """One of three down is bad; none that takes containers stops everything; a cordon is somebody's wish."""
    assert overall(judge(nodes=nodes)) == expected


def test_an_old_outbox_stops_everything() -> None:
    """A young one is how it should be."""
    assert judge(outbox=OutboxStatus(rows=9, oldest_seconds=3)) == []
    assert overall(judge(outbox=OutboxStatus(rows=9, oldest_seconds=31))) == Overall.DOWN


def test_an_open_problem_is_told_once_and_in_its_own_words() -> None:
    """It knows since when."""
    problem = Finding(
        kind="broker.down", severity="critical", subject="RabbitMQ", summary="gone", advice="mend", since=NOW
    )

    assert judge(broker=AWAY, problems=(problem,)) == [problem]


def test_a_dead_node_as_a_critical_problem_does_not_make_it_down() -> None:
    """Down is what stops all new work."""
    problem = Finding(kind="container.lost", severity="critical", subject="db-01", summary="lost", advice="see")

    assert overall(judge(problems=(problem,))) == Overall.DEGRADED


def test_the_worst_comes_first() -> None:
    """Whoever reads one line reads the right one."""
    assert [one.severity for one in judge(broker=AWAY, deaf=("a",), nodes={"ready": 1, "down": 1})] == [
        "critical",
        "warning",
        "warning",
    ]
