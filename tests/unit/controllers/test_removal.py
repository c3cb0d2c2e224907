"""Whom a deployment gives up first."""

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pathfinder.controllers.removal import Replica, chosen
from pathfinder.domain.lifecycle import Health, Status

START = datetime(2026, 1, 1, tzinfo=UTC)


def replica(
    number: int,
    *,
    status: Status = Status.PROVISIONED,
    health: Health = Health.HEALTHY,
    minutes: float = 0,
    node: str | None = "node-1",
    zone: str | None = None,
) -> Replica:
    return Replica(
        UUID(int=number), f"web-{number:02d}", status, health, START + timedelta(minutes=minutes), node, zone
    )


def names(found: list[Replica]) -> list[str]:
    return [one.hostname for one in found]


def test_who_serves_nobody_goes_before_who_is_unhealthy_before_who_is_well() -> None:
    """Health decides first, however new the others are."""
    it = [
        replica(1, minutes=600),
        replica(2, health=Health.UNHEALTHY),
        replica(3, status=Status.PENDING, node=None),
        replica(4, status=Status.SCHEDULED),
        replica(5, status=Status.BOOTSTRAP_STARTED),
    ]

    assert names(chosen(it, 5)) == ["web-03", "web-04", "web-02", "web-05", "web-01"]


def test_of_equally_healthy_ones_the_newest_goes() -> None:
    """What has run for long has caches that are warm and clients that know it."""
    assert names(chosen([replica(1, minutes=90), replica(2), replica(3, minutes=45)], 2)) == ["web-01", "web-03"]


def test_of_equally_new_ones_the_one_on_the_fullest_zone_and_node_goes() -> None:
    """Three in zone a and one in b: two of a go, from different nodes as far as they can."""
    it = [
        replica(1, node="a1", zone="a"),
        replica(2, node="a1", zone="a"),
        replica(3, node="a2", zone="a"),
        replica(4, node="b1", zone="b"),
    ]

    gone = chosen(it, 2)

    assert names(gone)[0] == "web-02"
    assert sorted(one.node or "" for one in it if one not in gone) in (["a1", "b1"], ["a2", "b1"])


@given(
    st.lists(
        st.tuples(
            st.sampled_from(Status), st.sampled_from(Health), st.integers(0, 3000), st.sampled_from(["a", "b", None])
        ),
        max_size=12,
    ),
    st.integers(0, 14),
    st.randoms(use_true_random=False),
)
def test_the_answer_is_a_choice_that_does_not_depend_on_the_order(
    given_: list[tuple[Status, Health, int, str | None]], count: int, random: Random
) -> None:
    """As many as asked for, no one twice, and whoever asks again about the same replicas gets the same ones."""
    it = [replica(n, status=s, health=h, minutes=m, node=node) for n, (s, h, m, node) in enumerate(given_)]
    shuffled = random.sample(it, len(it))

    gone = chosen(it, count)

    assert len({one.id for one in gone}) == len(gone) == min(count, len(it))
    assert chosen(shuffled, count) == gone
    assert chosen(it, count + 1)[: len(gone)] == gone
