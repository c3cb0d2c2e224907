"""How many replicas a deployment shall have now: the largest wish of its metrics, within bounds of size and speed.

The formula is that of Kubernetes' horizontal autoscaler: replicas times the ratio of what is to what shall be, with a
tolerance, stabilisation windows and rates. What is different: whoever is not ready counts as busy, too, where fewer
are wished for, so that nothing shrinks because much of it is not ready.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Any

from pathfinder.controllers.wishes import EPSILON, Count, Reading, Wish, largest, wish
from pathfinder.domain.autoscaling import Autoscaling, Behaviour, Rate

#: What is remembered is older than any window, cooldown and period that may be asked for by then.
REMEMBERED_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Memory:
    """What was wished for and what was changed lately: (when in seconds, replicas), (when, by how many).

    Losing it is harmless: a new one begins with what there is, so nothing shrinks before a whole window was seen.
    """

    wished: tuple[tuple[float, int], ...] = ()
    changed: tuple[tuple[float, int], ...] = ()

    @classmethod
    def fresh(cls, at: float, replicas: int, changed: Sequence[tuple[float, int]] = ()) -> "Memory":
        """That of whoever begins to look now."""
        return cls(((at, replicas),), tuple(changed))

    def last_change(self) -> float | None:
        """When something was changed last."""
        return max((at for at, _ in self.changed), default=None)


@dataclass(frozen=True, slots=True)
class Seen:
    """A deployment and its metrics at a moment, in seconds that only grow. `forecast` is what will soon be needed."""

    at: float
    count: Count
    readings: tuple[Reading, ...]
    forecast: Wish | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """How many replicas there shall be, what each metric asked for, what that is in all, and what was in the way.

    `reason` is a sentence without its full stop. `memory` is for the next look.
    """

    before: int
    replicas: int
    asked: int
    wishes: tuple[Wish, ...]
    held: str | None
    reason: str
    memory: Memory

    @property
    def unknown(self) -> tuple[str, ...]:
        """The metrics of which nothing is known."""
        return tuple(one.name for one in self.wishes if one.replicas is None)

    def document(self) -> dict[str, Any]:
        """What is kept of it."""
        return {
            "asked": self.asked,
            "held": self.held,
            "reason": self.reason,
            "metrics": [one.document() for one in self.wishes],
        }


def decide(rules: Autoscaling, memory: Memory, seen: Seen) -> Decision:
    """One look. Equal arguments give equal answers; looking again when nothing has changed changes nothing more."""
    now = seen.count.wanted
    wishes = tuple(wish(one, seen.count, rules.tolerance) for one in seen.readings)
    asked, top, hold = _asked(rules, seen, wishes)
    if seen.forecast is not None:
        wishes = (*wishes, seen.forecast)
    memory = _remembered(memory, seen.at, asked)
    if bounded(rules, now) != now:
        chosen, held = bounded(rules, now), None
        reason = f"{now} is outside of its bounds, {rules.min} to {rules.max}"
    else:
        chosen, held = _limited(rules, memory, seen.at, now, asked)
        held, reason = hold or held, _told(top)
    if chosen != now:
        memory = replace(memory, changed=(*memory.changed, (seen.at, chosen - now)))
    return Decision(now, chosen, asked, wishes, held, reason, memory)


def bounded(rules: Autoscaling, replicas: int) -> int:
    """`replicas`, or the nearest number that the deployment may have."""
    return max(rules.min, min(rules.max, replicas))


def _asked(rules: Autoscaling, seen: Seen, wishes: Sequence[Wish]) -> tuple[int, Wish | None, str | None]:
    """How many are asked for, by whom, and why it is not fewer where something is not known."""
    now = seen.count.wanted
    candidates = [*wishes, *([seen.forecast] if seen.forecast else [])]
    top = largest(candidates)
    asked = bounded(rules, now if top is None or top.replicas is None else top.replicas)
    unknown = [one.name for one in wishes if one.replicas is None]
    if unknown and (asked < now or top is None):
        return bounded(rules, now), top, f"not fewer, because {', '.join(unknown)} cannot be told"
    return asked, top, None


def _remembered(memory: Memory, at: float, asked: int) -> Memory:
    since = at - REMEMBERED_SECONDS
    return Memory(
        (*(one for one in memory.wished if one[0] >= since), (at, asked)),
        tuple(one for one in memory.changed if one[0] >= since),
    )


def _limited(rules: Autoscaling, memory: Memory, at: float, now: int, asked: int) -> tuple[int, str | None]:
    """What of it is done now, and what was in the way of the rest."""
    behaviour: Behaviour = rules.up if asked > now else rules.down
    direction = "up" if asked > now else "down"
    if asked == now:
        return now, None
    if not behaviour.enabled:
        return now, f"{direction} is not enabled"
    last = memory.last_change()
    if last is not None and at - last < behaviour.cooldown_seconds:
        return now, f"{direction} cools down for {behaviour.cooldown_seconds:g} s after a change"
    steady = _stabilised(rules, memory, at, now, direction)
    chosen = _within_rates(behaviour, memory, at, now, steady)
    if chosen != steady:
        return chosen, f"{direction} goes no faster"
    return chosen, None if chosen == asked else f"{direction} waits for {behaviour.stabilisation_seconds:g} s of it"


def _stabilised(rules: Autoscaling, memory: Memory, at: float, now: int, direction: str) -> int:
    window = (rules.up if direction == "up" else rules.down).stabilisation_seconds
    # Bounds may have moved since they were wished.
    *earlier, (_, newest) = memory.wished
    within = [newest, *(bounded(rules, replicas) for when, replicas in earlier if at - when < window)]
    return max(now, min(within)) if direction == "up" else min(now, max(within))


def _within_rates(behaviour: Behaviour, memory: Memory, at: float, now: int, wanted: int) -> int:
    if not behaviour.rates or wanted == now:
        return wanted
    up = wanted > now
    limits = [_limit(rate, memory, at, now, up=up) for rate in behaviour.rates]
    far, near = (max, min) if up else (min, max)
    limit = (far if behaviour.select == "most" else near)(limits)
    return max(now, min(wanted, limit)) if up else min(now, max(wanted, limit))


def _limit(rate: Rate, memory: Memory, at: float, now: int, *, up: bool) -> int:
    """The most there may be, or the fewest, given what was there when the period began."""
    start = now - sum(by for when, by in memory.changed if at - when < rate.period_seconds)
    start = max(start, 0)
    if rate.replicas is not None:
        return start + rate.replicas if up else start - rate.replicas
    share = (rate.percent or 0.0) / 100
    # The smallest share of few is one of them.
    return ceil(max(start, 1) * (1 + share) - EPSILON) if up else floor(start * (1 - share) + EPSILON)


def _told(top: Wish | None) -> str:
    if top is None:
        return "nothing is known of its metrics"
    if top.value is None or top.target is None:
        return f"{top.name} asks for {top.replicas}"
    return f"{top.name} is {top.value:.4g} and shall be {top.target:.4g}: it asks for {top.replicas}"
