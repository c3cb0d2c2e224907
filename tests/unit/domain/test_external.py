"""What somebody may do whom an identity provider vouches for."""

import pytest
from pydantic import ValidationError

from pathfinder.domain.access import Role
from pathfinder.domain.external import Grant, grant, granted, user_name
from pathfinder.settings import Settings

RULES = {"admins": "admin", "web": "operator:blue, green", "staff": "viewer"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["staff", "web"], Grant(Role.OPERATOR, ("blue", "green"))),
        (["staff", "admins"], Grant(Role.ADMIN, None)),
        ("staff", Grant(Role.VIEWER, None)),
        ("staffroom", None),
        ([], None),
        ([["staff"], 1, None, {"staff": True}], None),
        ({"staff": True}, None),
        (None, None),
    ],
)
def test_the_first_rule_that_fits_counts_and_nothing_else_gives_anything(
    values: object, expected: Grant | None
) -> None:
    """Whatever a provider sends as the claim."""
    assert granted(values, RULES) == expected
    assert granted(values, {}) is None


@pytest.mark.parametrize("words", ["", "root", "node", "join", "operator:", "operator: , ", ":blue", "admin blue"])
def test_a_rule_that_gives_no_role_is_refused_before_anybody_signs_in(words: str) -> None:
    """A slip of the pen never makes somebody more than was meant."""
    with pytest.raises(ValueError, match="is not ROLE or ROLE:CLUSTER"):
        grant(words)
    with pytest.raises(ValidationError):
        Settings(oidc_roles={"web": words})


@pytest.mark.parametrize("issuer", ["http://id.example.org", "id.example.org", "ftp://127.0.0.1"])
def test_a_provider_is_asked_over_https_alone(issuer: str) -> None:
    """But for one on this machine."""
    with pytest.raises(ValidationError, match="https://"):
        Settings(oidc_issuer=issuer)
    assert Settings(oidc_issuer="http://127.0.0.1:8000").oidc_issuer


def test_names_are_told_in_lower_case_and_only_if_a_user_could_have_them() -> None:
    """Alice@Example.org is one; markup is none."""
    assert user_name(" Alice@Example.org ") == "alice@example.org"
    for claim in (None, 1, "", "<b>", "a" * 64):
        with pytest.raises(ValueError, match="name"):
            user_name(claim)
