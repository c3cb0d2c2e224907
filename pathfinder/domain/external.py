"""What somebody may do whom an identity provider vouches for: pure, from its claims and the rules of the settings."""

from collections.abc import Mapping
from dataclasses import dataclass

from pathfinder.domain import names
from pathfinder.domain.access import RANKS, Role


@dataclass(frozen=True, slots=True)
class Grant:
    """A role, in these clusters; None: all."""

    role: Role
    clusters: tuple[str, ...] | None


def grant(words: str) -> Grant:
    """What a rule gives: `ROLE`, or `ROLE:CLUSTER,CLUSTER`. Raises ValueError."""
    role, colon, clusters = words.partition(":")
    named = tuple(name.strip() for name in clusters.split(",") if name.strip())
    if role not in RANKS or bool(colon) != bool(named):
        raise ValueError(f"{words!r} is not ROLE or ROLE:CLUSTER,CLUSTER; a role is one of {', '.join(RANKS)}")
    return Grant(Role(role), named or None)


def granted(values: object, rules: Mapping[str, str]) -> Grant | None:
    """What the first rule gives that is about one of these values, be they a list or a single one; None: nothing."""
    has = {values} if isinstance(values, str) else {one for one in _listed(values) if isinstance(one, str)}
    return next((grant(words) for value, words in rules.items() if value in has), None)


def user_name(claim: object) -> str:
    """The name of a user, from what the provider calls them. Raises ValueError where that cannot be one here."""
    if not isinstance(claim, str):
        raise ValueError("the provider tells no name")
    return names.user(claim.strip().lower())


def _listed(values: object) -> list[object]:
    return values if isinstance(values, list) else []
