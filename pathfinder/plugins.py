"""Discovery of filters and scorers that installed packages offer as entry points."""

import re
from collections import Counter
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

import structlog

from pathfinder.scheduling.bounded import Bounded
from pathfinder.scheduling.filters import FILTERS
from pathfinder.scheduling.line import WISHES
from pathfinder.scheduling.plugins import PluginFilter, PluginScorer
from pathfinder.scheduling.policy import Rules
from pathfinder.scheduling.scorers import SCORERS

log = structlog.get_logger()

FILTER_GROUP, SCORER_GROUP = "pathfinder.filters", "pathfinder.scorers"

#: How long the import of one may take.
IMPORT_SECONDS = 10.0

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_TAKEN = frozenset({*FILTERS, *SCORERS, WISHES})
_T = TypeVar("_T")


def discovered() -> Rules:
    """The built-in rules, and those of all installed packages that can be used; of the others a log line tells."""
    filters = _found(FILTER_GROUP, PluginFilter)
    scorers = _found(SCORER_GROUP, PluginScorer)
    return Rules({**FILTERS, **filters}, {**SCORERS, **scorers})


def _found(group: str, made: Callable[[str, Any], _T]) -> dict[str, _T]:
    points = sorted(set(entry_points(group=group)), key=lambda one: (one.name, one.value))
    times = Counter(one.name for one in points)
    found = {}
    for point in points:
        try:
            found[point.name] = made(point.name, _loaded(point, times[point.name]))
        except BaseException as error:  # an import runs anything, and must not end this process
            if isinstance(error, KeyboardInterrupt):
                raise
            why = str(error) if isinstance(error, _Refused) else f"{type(error).__name__}: {error}"
            log.warning("plugin refused", group=group, name=point.name, module=point.value, reason=why)
        else:
            package = point.dist.name if point.dist else "?"
            log.info("plugin found", group=group, name=point.name, module=point.value, package=package)
    return found


class _Refused(Exception):
    """In words, for the log."""


def _loaded(point: EntryPoint, times: int) -> Any:
    if not _NAME.fullmatch(point.name):
        raise _Refused("a name has small letters, digits and dashes, and at most 63 of them")
    if point.name in _TAKEN:
        raise _Refused("a built-in rule has that name")
    if times > 1:
        raise _Refused("several packages offer that name")
    what = Bounded(f"import of {point.name}", IMPORT_SECONDS).call(point.load)
    return what() if isinstance(what, type) else what
