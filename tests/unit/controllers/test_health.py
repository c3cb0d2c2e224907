"""What answers of checks mean, and when a container is restarted."""

from hypothesis import given
from hypothesis import strategies as st

from pathfinder.controllers import health
from pathfinder.controllers.health import Answers, Remedy
from pathfinder.domain.checks import Check, RestartPolicy, TcpProbe
from pathfinder.domain.lifecycle import ContainerType, Health


def check(name: str = "web", healthy_after: int = 1, unhealthy_after: int = 3) -> Check:
    """A check with these thresholds."""
    return Check(name=name, tcp=TcpProbe(port=80), healthy_after=healthy_after, unhealthy_after=unhealthy_after)


def after(of: Check, *answers: str | None) -> Answers:
    """What is known after these answers."""
    known = Answers()
    for answer in answers:
        known = health.answered(of, known, answer)
    return known


def test_bad_answers_count_when_there_are_enough_of_them_in_a_row() -> None:
    """One good answer between them begins the count anew, and a verdict stands until there is another."""
    of = check(healthy_after=2, unhealthy_after=3)

    assert after(of, "no").health is Health.UNKNOWN
    assert after(of, None, None).health is Health.HEALTHY
    assert after(of, None, None, "no", "no", None, "no", "no").health is Health.HEALTHY
    assert after(of, None, None, "no", "no", "refused") == Answers(Health.UNHEALTHY, 0, 3, "refused")
    assert after(of, "no", "no", "no", None).health is Health.UNHEALTHY
    assert after(of, "no", "no", "no", None, None) == Answers(Health.HEALTHY, 2)


@given(st.lists(st.sampled_from((None, "no")), max_size=40), st.integers(1, 5), st.integers(1, 5))
def test_the_verdict_is_that_of_the_last_long_enough_row(answers: list[str | None], well: int, ill: int) -> None:
    """Whatever came before, whatever the thresholds."""
    verdict, row = Health.UNKNOWN, 0
    for place, answer in enumerate(answers):
        row = row + 1 if place and answers[place - 1] == answer else 1
        if row >= (well if answer is None else ill):
            verdict = Health.HEALTHY if answer is None else Health.UNHEALTHY

    assert after(check("x", well, ill), *answers).health is verdict


def test_all_checks_must_be_well_and_one_that_is_not_is_named() -> None:
    one, other = check("one"), check("other")
    good, bad, unknown = Answers(Health.HEALTHY), Answers(Health.UNHEALTHY, message="refused"), Answers()

    assert health.overall([]) == (Health.UNKNOWN, None)
    assert health.overall([(one, good), (other, good)]) == (Health.HEALTHY, None)
    assert health.overall([(one, good), (other, unknown)]) == (Health.UNKNOWN, None)
    assert health.overall([(one, good), (other, bad)]) == (Health.UNHEALTHY, "other: refused")
    assert health.overall([(one, unknown), (other, bad)]) == (Health.UNHEALTHY, "other: refused")


def test_pauses_double_up_to_the_longest() -> None:
    """From 10 s to 5 minutes, if nothing else was asked for; however many there were."""
    delays = [health.delay_seconds(RestartPolicy(), restarts) for restarts in (0, 1, 2, 3, 4, 5, 6, 5000)]

    assert delays == [10, 20, 40, 80, 160, 300, 300, 300]


def test_a_stateless_container_is_placed_anew_once_restarts_do_not_help() -> None:
    """One with a disk is restarted for ever; where restarts are off nothing is done at all."""
    policy = RestartPolicy(replace_after=3)

    assert health.remedy(policy, 2, ContainerType.STATELESS) is Remedy.RESTART
    assert health.remedy(policy, 3, ContainerType.STATELESS) is Remedy.REPLACE
    assert health.remedy(policy, 300, ContainerType.STATEFUL) is Remedy.RESTART
    assert health.remedy(RestartPolicy(enabled=False), 9, ContainerType.STATELESS) is Remedy.NOTHING
