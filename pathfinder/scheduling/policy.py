"""Policies: named lists of filters and weighted scorers."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pathfinder.domain.errors import Invalid
from pathfinder.scheduling.filters import FILTERS, Filter
from pathfinder.scheduling.scorers import SCORERS, Scorer


class Ties(StrEnum):
    """Which of several equally good nodes: the first in an order shuffled by the seed, or any, each time anew."""

    SEED = "seed"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class Policy:
    """How containers are placed: every filter must pass, the weighted sum of the scores decides.

    `wishes` is the weight of what containers themselves prefer about their company. `overcommit` is how much of each
    node's cpu, memory and disk may be claimed, where the node has no ratio of its own. With `preemption`, containers of
    lower priority give way to those of higher.
    """

    name: str
    filters: tuple[Filter, ...]
    scorers: tuple[tuple[Scorer, float], ...]
    version: int = 0
    wishes: float = 2.0
    ties: Ties = Ties.SEED
    overcommit: tuple[float, float, float] = (1.0, 1.0, 1.0)
    preemption: bool = False


_ALWAYS = tuple(FILTERS.values())


def _built_in(name: str, weights: Mapping[str, float], ties: Ties = Ties.SEED) -> Policy:
    scorers = tuple((SCORERS[scorer], weight) for scorer, weight in {**weights, "untainted": 2.0}.items())
    return Policy(name, _ALWAYS, scorers, ties=ties)


POLICIES: Mapping[str, Policy] = {
    policy.name: policy
    for policy in (
        _built_in("spread", {"few-containers": 1.0, "free-share": 1.0}),
        _built_in("binpack", {"used-share": 1.0, "few-containers": -0.1}),
        _built_in("balanced", {"balance": 1.0, "used-share": 0.5}),
        _built_in("least-loaded", {"idle-share": 1.0, "free-share": 0.5}),
        _built_in("image-locality", {"has-image": 1.0, "free-share": 0.5}),
        _built_in("random", {}, Ties.RANDOM),
    )
}


def named(name: str) -> Policy:
    """The policy of that name; Invalid with the names there are."""
    try:
        return POLICIES[name]
    except KeyError:
        raise Invalid(f"There is no policy named {name!r}; choose one of {', '.join(POLICIES)}.") from None
