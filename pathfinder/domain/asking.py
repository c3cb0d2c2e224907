"""What may be asked of a placement beside room, and what keeps containers off nodes: plain, hashable values."""

from dataclasses import dataclass
from enum import StrEnum

from pathfinder.domain import names
from pathfinder.domain.selectors import Selector

#: The topology in which each node is a domain of its own. Any other topology is a node label: `zone`, `rack`.
NODE = "node"

#: A container's priority is between minus this and this.
MOST_PRIORITY = 1000

#: Every weight of a wish is between 0 and this.
MOST_WEIGHT = 100.0


class Effect(StrEnum):
    """What a taint does to containers that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"


@dataclass(frozen=True, slots=True, order=True)
class Taint:
    """A mark on a node that keeps containers away, unless they tolerate it: `KEY[=VALUE]:EFFECT`."""

    key: str
    value: str = ""
    effect: Effect = Effect.NO_SCHEDULE

    @classmethod
    def parse(cls, text: str) -> "Taint":
        """The taint that is written; ValueError with the form."""
        mark, colon, effect = text.strip().rpartition(":") if ":" in text else (text.strip(), "", Effect.NO_SCHEDULE)
        if colon and effect not in list(Effect):
            raise ValueError(f"{effect[:40]!r} is not an effect of a taint; write {' or '.join(Effect)}")
        key, _, value = mark.partition("=")
        return cls(names.label_key(key), names.label_value(value), Effect(effect))

    def __str__(self) -> str:
        return f"{self.key}{'=' if self.value else ''}{self.value}:{self.effect}"


@dataclass(frozen=True, slots=True, order=True)
class Toleration:
    """What taints a container puts up with: `*` all, `KEY` with any value, `KEY=VALUE`."""

    key: str = "*"
    value: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Toleration":
        """The toleration that is written; ValueError with the form."""
        key, equals, value = text.strip().partition("=")
        if key == "*" and not equals:
            return cls()
        return cls(names.label_key(key), names.label_value(value) if equals else None)

    def tolerates(self, taint: Taint) -> bool:
        """Whether that taint does not keep the container away."""
        return self.key == "*" or (self.key == taint.key and self.value in (None, taint.value))

    def __str__(self) -> str:
        return self.key if self.value is None else f"{self.key}={self.value}"


@dataclass(frozen=True, slots=True, order=True)
class Affinity:
    """A wish, or where `required` a rule, about company: in the same domain of topology `over` as containers that match
    `to`, or, with `apart`, never in one with them.

    A rule to be apart binds both sides: those who match are kept away from whoever has it, too. A rule to be together
    that the container itself satisfies lets the first of its kind go anywhere.
    """

    to: Selector
    over: str = NODE
    apart: bool = False
    required: bool = True
    weight: float = 1.0


@dataclass(frozen=True, slots=True, order=True)
class Spread:
    """An even share of the containers that match `of`, itself among them, for each domain of topology `over`.

    Counts are divided by the domain's weight (1 where `weights` does not name it). With `required`, a domain may have
    at most `max_skew` more than the emptiest one that could take the container. Otherwise emptier ones are preferred.
    """

    of: Selector
    over: str = NODE
    max_skew: int = 1
    required: bool = True
    weight: float = 1.0
    weights: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Budget:
    """How much of what matches `of` may be away at once by our own action."""

    of: Selector
    max_unavailable: int = 1
