"""Policies: named lists of filters and weighted scorers."""

from collections.abc import Mapping
from dataclasses import dataclass

from pathfinder.domain.errors import Invalid
from pathfinder.scheduling.filters import FILTERS, Filter
from pathfinder.scheduling.scorers import SCORERS, Scorer


@dataclass(frozen=True, slots=True)
class Policy:
    """How containers are placed: every filter must pass, the weighted sum of the scores decides, ties go by seed."""

    name: str
    filters: tuple[Filter, ...]
    scorers: tuple[tuple[Scorer, float], ...]


_ALWAYS = tuple(FILTERS.values())

POLICIES: Mapping[str, Policy] = {
    "spread": Policy("spread", _ALWAYS, ((SCORERS["few-containers"], 1.0), (SCORERS["free-share"], 1.0))),
    "binpack": Policy("binpack", _ALWAYS, ((SCORERS["used-share"], 1.0), (SCORERS["few-containers"], -0.1))),
    "random": Policy("random", _ALWAYS, ()),
}


def named(name: str) -> Policy:
    """The policy of that name; Invalid with the names there are."""
    try:
        return POLICIES[name]
    except KeyError:
        raise Invalid(f"There is no policy named {name!r}; choose one of {', '.join(POLICIES)}.") from None
