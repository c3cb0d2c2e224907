"""What of logging in needs no database: waiting, addresses, hashes."""

from uuid import UUID

import pytest
from argon2 import PasswordHasher, extract_parameters

from api.limits import Buckets, Logins, Rates, network
from pathfinder.domain.access import Role, covers, least, may_grant, within
from pathfinder.domain.errors import RateLimited
from pathfinder.passwords import NOBODYS, hashed, matches


def test_a_user_that_is_not_there_takes_as_long() -> None:
    """What is compared then has the parameters of every new hash."""
    assert extract_parameters(NOBODYS) == extract_parameters(PasswordHasher().hash("x"))


async def test_a_password_matches_its_own_hash_alone() -> None:
    """And nothing matches where there is no user, or where the hash is none."""
    known = await hashed("right")

    assert await matches(known, "right")
    assert not await matches(known, "wrong")
    assert not await matches(None, "x")
    assert not await matches("broken", "right")


def test_a_bucket_fills_up_again_with_time() -> None:
    """Never above its size."""
    now = 0.0
    buckets = Buckets(rate=0.5, burst=2, clock=lambda: now)
    buckets.take("a")
    buckets.take("a")

    assert (buckets.wait("a"), buckets.wait("b")) == (2.0, 0.0)
    now = 1000.0
    buckets.take("a")
    buckets.take("a")
    assert buckets.wait("a") == 2.0


def test_who_logs_in_rightly_is_never_held_up() -> None:
    """Only failures count, however often somebody comes."""
    logins = Logins(clock=lambda: 0.0)
    for _ in range(100):
        logins.admit("192.0.2.1", "alice", None)
        logins.succeeded("192.0.2.1", "alice", None)


def test_one_source_cannot_try_every_name() -> None:
    """However many names it has; an IPv6 host's many addresses are one source."""
    logins = Logins(clock=lambda: 0.0)
    for number in range(20):
        logins.admit(f"2001:db8::{number:x}", f"user-{number}", None)

    with pytest.raises(RateLimited):
        logins.admit("2001:db8::ffff", "alice", None)
    logins.admit("2001:db8:0:1::1", "alice", None)
    assert network("unix") == "unix"


def test_one_token_that_asks_too_often_holds_up_no_other() -> None:
    """Twice its rate at once is let through, then it waits; 0 is no bound at all."""
    rates, free, one, other = Rates(10, clock=lambda: 0.0), Rates(0), UUID(int=1), UUID(int=2)
    for _ in range(20):
        rates.admit(one)

    with pytest.raises(RateLimited) as refused:
        rates.admit(one)
    assert refused.value.retry_after_seconds == 1
    rates.admit(other)
    for _ in range(100):
        free.admit(one)


def test_each_role_has_what_the_one_before_has() -> None:
    """Nodes' roles stand apart."""
    assert [role for role in Role if covers(role, Role.OPERATOR)] == [Role.OPERATOR, Role.ADMIN]
    assert not covers(Role.ADMIN, Role.JOIN)
    assert covers(Role.JOIN, Role.JOIN)
    assert least("admin", "viewer") == "viewer"


def test_every_cluster_is_more_than_all_that_there_are() -> None:
    """None takes in those to come."""
    assert within({"a"}, None)
    assert within({"a"}, {"a", "b"})
    assert not within(None, {"a", "b"})
    assert within(None, None)


@pytest.mark.parametrize(
    ("has", "clusters", "role", "scope", "may"),
    [
        ("admin", None, Role.ADMIN, None, True),
        ("operator", None, Role.ADMIN, ["blue"], False),
        ("operator", ["blue"], Role.OPERATOR, ["blue"], True),
        ("operator", ["blue"], Role.VIEWER, None, False),
        ("operator", ["blue"], Role.JOIN, ["blue"], True),
        ("viewer", None, Role.JOIN, ["blue"], False),
        ("operator", None, Role.NODE, ["blue"], False),
        ("join", None, Role.VIEWER, [], False),
    ],
)
def test_nobody_grants_more_than_they_have(
    has: str, clusters: list[str] | None, role: Role, scope: list[str] | None, may: bool
) -> None:
    """Neither in role nor in clusters; who runs a cluster lets nodes join it."""
    assert may_grant(has, clusters, role, scope) is may
