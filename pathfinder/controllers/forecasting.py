"""What a load will be soon, from what it was at the same time of earlier days or weeks.

The present season is taken to be like the ones before it, the newer the more, times how much busier or calmer the last
hour was than they were. Whether that is worth anything is tried on the last day: where it is no better than saying
that the load stays as it is, there is no forecast. See docs/decisions/0105-forecasts.md for why this is not a library.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Loads are looked at in slots of so many seconds; what is recorded is the greatest of each.
SLOT_SECONDS = 300

DAY, WEEK = 86_400 // SLOT_SECONDS, 7 * 86_400 // SLOT_SECONDS
SEASONS = (("week", WEEK), ("day", DAY))

#: So many earlier seasons are looked at, each counting for half as much as the one after it.
MOST_SEASONS, FADING = 4, 0.5

#: A season is learnt from two of it at least, of whose slots so many are known.
LEAST_SEASONS, LEAST_KNOWN = 2, 0.8

#: How busy it is compared with before is taken from the last hour, and never believed beyond this.
LEVEL_SLOTS, LEVEL_BOUND = 12, 2.0

#: A forecast has to be wrong by less than this share of what saying "as it is now" is wrong by.
BETTER = 0.8

#: A forecast is tried at each so many slots of the last day at least.
TRY_EVERY = 3

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Forecast:
    """The load of the slots to come, the present one first, and how wrong such a forecast was on the last day.

    Errors are means of what was missing or too much, in the load's own unit; `naive_error` is that of "as it is now".
    """

    season: str
    values: tuple[float, ...]
    error: float
    naive_error: float

    @property
    def peak(self) -> float:
        """The greatest of them."""
        return max(self.values)


def forecast(points: Sequence[tuple[float, float]], now: float, ahead_seconds: float) -> Forecast | str:
    """From (seconds, load) in any order, what comes until `ahead_seconds` after `now`; or why that is not known."""
    load = _slots(points, now)
    ahead = int(np.ceil(ahead_seconds / SLOT_SECONDS)) + 1
    if len(load) < LEAST_SEASONS * DAY:
        return f"{len(load) * SLOT_SECONDS / 3600:.0f} hours are recorded; a day's course is learnt from 48"
    tried = []
    for name, season in SEASONS:
        if len(load) >= LEAST_SEASONS * season and np.isfinite(load[-LEAST_SEASONS * season :]).mean() >= LEAST_KNOWN:
            error, naive = _tried(load, season, ahead)
            tried.append((error, naive, name, season))
    if not tried:
        return "too much of what was recorded is missing"
    error, naive, name, season = min(tried)
    if not error < BETTER * naive:
        return f"no season tells more than the load now does (wrong by {error:.3g}, which is {naive:.3g} without)"
    values = _ahead(load, _profile(load, season, ahead), len(load), ahead)
    if not np.isfinite(values).all():
        return "too much of the same time of earlier seasons is missing"
    return Forecast(name, tuple(float(one) for one in values), error, naive)


def _slots(points: Sequence[tuple[float, float]], now: float) -> Values:
    """The loads of all slots before that of `now`, the oldest first; NaN where none is known."""
    if not points:
        return np.empty(0)
    at, value = np.array(points, dtype=np.float64).T
    slot = np.floor(at / SLOT_SECONDS).astype(np.int64)
    end = int(now // SLOT_SECONDS)
    start = max(int(slot.min()), end - MOST_SEASONS * WEEK)
    kept = (slot >= start) & (slot < end) & np.isfinite(value)
    load = np.full(max(end - start, 0), -np.inf)
    np.maximum.at(load, slot[kept] - start, value[kept])
    load[np.isneginf(load)] = np.nan
    return load


def _profile(load: Values, season: int, ahead: int) -> Values:
    """What earlier seasons say of each slot of the last day, and of those to come, by what was a season ago."""
    wanted = np.arange(max(len(load) - DAY - LEVEL_SLOTS, 0), len(load) + ahead)
    total, weights = np.zeros(len(wanted)), np.zeros(len(wanted))
    for back in range(1, MOST_SEASONS + 1):
        row = wanted - back * season
        known = (row >= 0) & np.isfinite(load[np.clip(row, 0, len(load) - 1)])
        weight = known * FADING**back
        total += np.where(known, load[np.clip(row, 0, len(load) - 1)], 0.0) * weight
        weights += weight
    found = np.full(len(load) + ahead, np.nan)
    found[wanted] = np.divide(total, weights, out=np.full(len(wanted), np.nan), where=weights > 0)
    return found


def _ahead(load: Values, profile: Values, origin: int, ahead: int) -> Values:
    """The forecast from the slot `origin` on, knowing the load before it."""
    recent = slice(origin - LEVEL_SLOTS, origin)
    both = np.isfinite(load[recent]) & np.isfinite(profile[recent])
    was, said = load[recent][both].sum(), profile[recent][both].sum()
    level = float(np.clip(was / said, 1 / LEVEL_BOUND, LEVEL_BOUND)) if said > 0 and was > 0 else 1.0
    return np.asarray(profile[origin : origin + ahead] * level)


def _tried(load: Values, season: int, ahead: int) -> tuple[float, float]:
    """How wrong the greatest of what was to come was foretold on the last day, and how wrong "as it is now" was."""
    profile = _profile(load, season, ahead)
    ours, naive = [], []
    for origin in range(len(load) - DAY, len(load) - ahead, max(ahead // 2, TRY_EVERY)):
        came = load[origin : origin + ahead]
        said, now = _ahead(load, profile, origin, ahead), load[origin - 1]
        if np.isfinite(came).all() and np.isfinite(said).all() and np.isfinite(now):
            ours.append(abs(said.max() - came.max()))
            naive.append(abs(now - came.max()))
    return (float(np.mean(ours)), float(np.mean(naive))) if ours else (np.inf, np.inf)
