"""Who may do what: roles and how they compare. Which route wants which role stands in `api/permissions.py`."""

from collections.abc import Collection
from enum import StrEnum


class Role(StrEnum):
    """What somebody may do. The first three are people's and programs', each with all that the one before has; the
    others are nodes': one joins, and then also says that it lives.
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

_LADDERS = (RANKS, (Role.JOIN, Role.NODE))


def covers(has: str, needed: Role) -> bool:
    """Whether whoever is `has` may do what `needed` may."""
    ladder = next(one for one in _LADDERS if needed in one)
    return has in ladder and ladder.index(Role(has)) >= ladder.index(needed)


def may_grant(has: str, clusters: Collection[str] | None, role: Role, scope: Collection[str] | None) -> bool:
    """Whether whoever is `has` in `clusters` may make somebody or something that is `role` in `scope`: never more than
    themselves. Who runs a cluster may let nodes join it.
    """
    return covers(has, Role.OPERATOR if role == Role.JOIN else role) and within(scope, clusters)


def least(one: str, other: str) -> str:
    """The lesser of two of people's roles."""
    return min(one, other, key=lambda role: RANKS.index(Role(role)))


def both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    """The clusters that are in both; None is every cluster."""
    if one is None or other is None:
        return other if one is None else one
    return one & other


def within(inner: Collection[str] | None, outer: Collection[str] | None) -> bool:
    """Whether all of `inner` is in `outer`; None is every cluster, those to come too."""
    return outer is None or (inner is not None and set(inner) <= set(outer))
