"""How large a replica should be, by what its kind has used: the 95th percentile of its busiest, and a margin."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from pathfinder.controllers.forecasting import DAY
from pathfinder.domain.resources import MIN_MEMORY_BYTES

#: So much more than was used is asked for.
MARGIN = 0.15

#: Asked for in steps of so much.
CPU_STEP_MILLICORES, MEMORY_STEP_BYTES = 50, 16 << 20

#: Within this share of what is recommended, what is asked for is right.
CLOSE = 0.1


@dataclass(frozen=True, slots=True)
class Advice:
    """What one resource of a replica should be, in millicores or bytes; None where too little was recorded.

    `asked` is 0 where nothing is asked for. `p95` and `most` are of the busiest replica in each five minutes.
    """

    asked: int
    recommended: int | None
    p95: float | None
    most: float | None
    samples: int
    words: str


def cpu(asked: int, used: Sequence[float]) -> Advice:
    """Of its CPU: whoever now and then uses more than that waits a little."""
    return _advice(asked, used, lambda p95, _: p95 * (1 + MARGIN), CPU_STEP_MILLICORES, CPU_STEP_MILLICORES)


def memory(asked: int, used: Sequence[float]) -> Advice:
    """Of its memory: never less than the most that was used, for whoever has too little is killed."""
    return _advice(asked, used, lambda p95, most: max(p95 * (1 + MARGIN), most), MEMORY_STEP_BYTES, MIN_MEMORY_BYTES)


def _advice(asked: int, used: Sequence[float], of: Callable[[float, float], float], step: int, least: int) -> Advice:
    if len(used) < DAY:
        words = f"only {len(used) / 12:.0f} hours are recorded; a day at least is needed"
        return Advice(asked, None, None, None, len(used), words)
    p95, most = float(np.quantile(used, 0.95)), float(max(used))
    recommended = max(step * ceil(of(p95, most) / step), least)
    return Advice(asked, recommended, p95, most, len(used), _words(asked, recommended))


def _words(asked: int, recommended: int) -> str:
    if not asked:
        return "asks for nothing, and so is promised nothing"
    share = recommended / asked
    if abs(1 - share) <= CLOSE:
        return "is right as it is"
    return f"could do with {1 - share:.0%} less" if share < 1 else f"needs {share - 1:.0%} more"
