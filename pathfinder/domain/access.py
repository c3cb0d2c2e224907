"""Who may do what: roles and how they compare. Which route wants which role stands in `api/permissions.py`."""

from collections.abc import Collection
from enum import StrEnum


class Role(StrEnum):
    """What somebody may do. The first three are people's and programs', each with all that the one before has; the
    others are nodes'.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    JOIN = "join"
    NODE = "node"


#: What everybody knows, for Pathfinders that nobody else can reach.
DEVELOPMENT_USER, DEVELOPMENT_PASSWORD = "admin", "pathfinder"

#: From least to most.
RANKS = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)


def covers(has: str, needed: Role) -> bool:
    """Whether whoever is `has` may do what `needed` may."""
    if has not in RANKS or needed not in RANKS:
        return has == needed
    return RANKS.index(Role(has)) >= RANKS.index(needed)


def least(one: str, other: str) -> str:
    """The lesser of two of people's roles."""
    return min(one, other, key=lambda role: RANKS.index(Role(role)))


def within(inner: Collection[str] | None, outer: Collection[str] | None) -> bool:
    """Whether all of `inner` is in `outer`; None is every cluster, those to come too."""
    return outer is None or (inner is not None and set(inner) <= set(outer))
