"""Filters and scorers of other people's packages: bounded in time, and left out where they fail.

What fails while a batch is decided is left out, and the batch decided again: the result is that of the same policy
without it. docs/guides/placement-plugins.md says what a plugin is given and what it must answer.
"""

import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pathfinder.domain.messages import Kind
from pathfinder.scheduling.bounded import Bounded
from pathfinder.scheduling.fleet import Fleet, Mask, Scores
from pathfinder.scheduling.policy import Policy
from pathfinder.scheduling.request import Ask

#: How long one call may take, and all of one plugin together while one batch is decided.
CALL_SECONDS, BATCH_SECONDS = 0.25, 2.0

#: What is told of an exception at most.
WORDS = 200

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Fault:
    """What a plugin did wrong. `noun` is filter or scorer."""

    noun: str
    name: str
    words: str

    def __str__(self) -> str:
        return f"{self.noun} {self.name}: {self.words}"


class PluginFailed(Exception):
    """A plugin cannot be used for this batch. Only `without_failing` catches it."""

    def __init__(self, plugin: "Plugin", words: str) -> None:
        super().__init__(words)
        self.plugin = plugin
        self.fault = Fault(plugin.noun, plugin.name, words)


class Plugin:
    """What filters and scorers of others have in common."""

    noun = "plugin"

    def __init__(self, name: str, calls: Bounded | None = None) -> None:
        self.name = name
        self._calls = calls or Bounded(f"plugin {name}", CALL_SECONDS)
        self._spent = 0.0
        self._checked = False

    def in_batch(self) -> "Plugin":
        """The same for one batch: with all its time left, and not yet checked."""
        return copy(self)

    def _called(self, function: Callable[..., Any], fleet: Fleet, ask: Ask, *more: Any) -> Any:
        shown, began = _shown(fleet), time.perf_counter()
        try:
            answer = self._calls.call(lambda: function(shown, ask, *more))
        except TimeoutError as late:
            raise PluginFailed(self, str(late)) from None
        except BaseException as error:  # whatever it raises, SystemExit too, is its own affair
            raise PluginFailed(self, _raised(error)) from None
        self._spent += time.perf_counter() - began
        if self._spent > BATCH_SECONDS:
            raise PluginFailed(self, f"took more than {BATCH_SECONDS:g} s for one batch")
        return answer

    def _column(self, function: Callable[..., Any], fleet: Fleet, ask: Ask, kinds: str, what: str) -> NDArray[Any]:
        """An answer that has the right form; `kinds` are those of NumPy dtypes, `what` says so in words."""
        answer = self._called(function, fleet, ask)
        if not isinstance(answer, np.ndarray):
            raise PluginFailed(self, f"gave {type(answer).__name__} instead of an array")
        if answer.shape != (len(fleet),):
            raise PluginFailed(self, f"gave an array of shape {answer.shape} instead of ({len(fleet)},)")
        if answer.dtype.kind not in kinds:
            raise PluginFailed(self, f"gave an array of {answer.dtype} instead of {what}")
        return np.array(answer)  # ours: it may keep its own and change it

    def _check(self, same: Callable[[Fleet], bool], fleet: Fleet, row: int) -> None:
        """Once in a batch: one row by itself must get the answer it got among others."""
        if not self._checked and len(fleet) > 1:
            self._checked = True
            if not same(fleet.rows(np.array([row]))):
                raise PluginFailed(self, "its answer for a node depends on the other nodes")


class PluginFilter(Plugin):
    """A filter of others. `of` is a function (fleet, ask) -> bool (n,), or an object with one called `mask`."""

    noun = "filter"

    def __init__(self, name: str, of: Any, calls: Bounded | None = None) -> None:
        super().__init__(name, calls)
        self._mask = getattr(of, "mask", of)
        self._reason = getattr(of, "reason", None)
        if not callable(self._mask):
            raise TypeError("is neither a function nor an object with `mask`")
        if self._reason is not None and not callable(self._reason):
            raise TypeError("its `reason` is not a function")
        self.lasting = bool(getattr(of, "lasting", False))
        #: Whoever does not say what may change its mind is asked again after everything.
        self.wakes: frozenset[str] = frozenset(Kind(one) for one in getattr(of, "wakes", Kind))

    def mask(self, fleet: Fleet, ask: Ask) -> Mask:
        """Its answer. Raises PluginFailed."""
        mask = self._column(self._mask, fleet, ask, "b", "bool")
        if len(fleet):
            row = int(mask.argmin())
            self._check(lambda one: self.mask(one, ask)[0] == mask[row], fleet, row)
        return mask

    def reason(self, fleet: Fleet, ask: Ask, rejected: Mask) -> str:
        """Its words, or just its name. Where it fails in this alone it still decides, as it does if nobody asks why."""
        if self._reason is None:
            return f"rejected by {self.name}"
        try:
            words = self._called(self._reason, fleet, ask, rejected.copy())
        except PluginFailed as failed:
            return f"rejected by {self.name} (its reason {failed.fault.words})"
        if not isinstance(words, str):
            return f"rejected by {self.name} (its reason is {type(words).__name__} instead of text)"
        return _short(words)


class PluginScorer(Plugin):
    """A scorer of others. `of` is a function (fleet, ask) -> 0 to 1 (n,), or an object with one called `score`."""

    noun = "scorer"

    def __init__(self, name: str, of: Any, calls: Bounded | None = None) -> None:
        super().__init__(name, calls)
        self._score = getattr(of, "score", of)
        if not callable(self._score):
            raise TypeError("is neither a function nor an object with `score`")

    def score(self, fleet: Fleet, ask: Ask) -> Scores:
        """Its answer. Raises PluginFailed."""
        scores = self._column(self._score, fleet, ask, "fiub", "numbers").astype(np.float64)
        if not np.isfinite(scores).all():
            raise PluginFailed(self, "gave a score that is not a finite number")
        if len(scores) and not (scores.min() >= 0.0 and scores.max() <= 1.0):
            raise PluginFailed(self, f"gave scores from {scores.min():g} to {scores.max():g} instead of 0 to 1")
        if len(scores):
            # Who divides by the best is seen through by the worst.
            row = int(scores.argmin())
            self._check(lambda one: bool(abs(self.score(one, ask)[0] - scores[row]) < 1e-9), fleet, row)
        return scores


@dataclass(frozen=True, slots=True)
class Tried:
    """What was decided by `policy`: the one that was asked for, without the plugins whose `faults` these are."""

    policy: Policy
    faults: tuple[Fault, ...] = ()


def without_failing(policy: Policy, decide: Callable[[Policy], _T]) -> tuple[_T, Tried]:
    """What `decide` makes of the policy without the plugins that fail in it. `decide` must change nothing outside."""
    tried = policy
    if any(isinstance(rule, Plugin) for rule in _rules(policy)):
        tried = replace(
            policy,
            filters=tuple(_fresh(rule) for rule in policy.filters),
            scorers=tuple((_fresh(rule), weight) for rule, weight in policy.scorers),
        )
    faults: list[Fault] = []
    while True:
        try:
            return decide(tried), Tried(tried, tuple(faults))
        except PluginFailed as failed:
            faults.append(failed.fault)
            gone = id(failed.plugin)
            tried = replace(
                tried,
                filters=tuple(rule for rule in tried.filters if id(rule) != gone),
                scorers=tuple(one for one in tried.scorers if id(one[0]) != gone),
            )


def _rules(policy: Policy) -> list[object]:
    return [*policy.filters, *(scorer for scorer, _ in policy.scorers)]


def _fresh(rule: Any) -> Any:
    return rule.in_batch() if isinstance(rule, Plugin) else rule


def _shown(fleet: Fleet) -> Fleet:
    """The same fleet, without tallies, in columns that cannot be written to."""
    shown = fleet.rows(slice(None))
    for one in fields(shown):
        column = getattr(shown, one.name)
        if isinstance(column, np.ndarray):
            column.flags.writeable = False
    return shown


def _raised(error: BaseException) -> str:
    try:
        words = str(error)
    except Exception:  # its own mistake in saying what is wrong
        words = ""
    return _short(f"raised {type(error).__name__}: {words}" if words else f"raised {type(error).__name__}")


def _short(words: str) -> str:
    line = " ".join(words.split())
    return line if len(line) <= WORDS else line[: WORDS - 1] + "…"
