"""From the problems of one moment to what is to be told: what opened, what is over, what changed its words.

What comes and goes within its patience is not told at all; what is told is not taken back at the first good sign.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pathfinder.controllers.problems import Verdict
from pathfinder.domain.problems import Problem, ProblemKind


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds a problem must be there before it is told, and gone before it is over."""

    opens: float
    ends: float


#: Where the look itself says how long it has been so, there is nothing to wait for.
USUAL = Patience(0, 10)
PATIENCE: Mapping[ProblemKind, Patience] = {
    # A burst of creates is worked off within seconds.
    ProblemKind.QUEUE_BACKLOG: Patience(10, 10),
    # While PostgreSQL was away nobody could say that it lives: all get the time to. One that crashes again and again
    # is one problem.
    ProblemKind.SERVICE_DOWN: Patience(8, 20),
    # What was committed just before the relay, or PostgreSQL, went away is old by the time they are back.
    ProblemKind.OUTBOX_BACKLOG: Patience(8, 10),
    # An agent that reconnects is away from its queue for a moment; an LXD that is restarted answers again soon.
    ProblemKind.NODE_DEAF: Patience(15, 10),
    ProblemKind.NODE_RUNTIME_DOWN: Patience(15, 10),
    # Looked for seldom, and counted from long ago: each look is an answer.
    ProblemKind.CONTAINER_STUCK: Patience(0, 0),
    # A node that goes up and down is one problem, not one a minute.
    ProblemKind.NODE_DOWN: Patience(0, 10),
    # Stateless containers of a dead node are placed anew within seconds; those are no loss.
    ProblemKind.CONTAINER_LOST: Patience(10, 5),
    # A source that is restarted answers again soon, and shrinks nothing meanwhile.
    ProblemKind.DEPLOYMENT_METRIC_UNKNOWN: Patience(30, 30),
    # While a dead node's containers move, claims swing.
    ProblemKind.CAPACITY_LOW: Patience(15, 60),
    ProblemKind.RESILIENCE_LOST: Patience(15, 30),
    ProblemKind.DEAD_LETTERS: Patience(0, 0),
}


@dataclass(frozen=True, slots=True)
class Known:
    """A problem that was told and is not over."""

    kind: ProblemKind
    words: tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class News:
    """What there is to write and tell."""

    opened: tuple[Problem, ...]
    changed: tuple[Problem, ...]
    ended: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.opened or self.changed or self.ended)


def words(problem: Problem) -> tuple[str, str, str]:
    """What may change while a problem lasts."""
    return problem.severity, problem.summary, problem.advice


@dataclass(slots=True)
class Noticing:
    """Remembers since when something has been there or gone. Losing this memory only costs patience once more."""

    _there: dict[str, float] = field(default_factory=dict)
    _gone: dict[str, float] = field(default_factory=dict)

    def news(self, verdict: Verdict, known: Mapping[str, Known], now: float) -> News:
        """What to tell at `now` (seconds, only grows), given what was told before."""
        present = {one.key: one for one in verdict.present}
        self._there = {key: self._there.get(key, now) for key in present}
        gone = [key for key, one in known.items() if key not in present and one.kind not in verdict.unknown]
        self._gone = {key: self._gone.get(key, now) for key in gone}
        return News(
            tuple(
                one
                for key, one in present.items()
                if key not in known and now - self._there[key] >= _patience(one.kind).opens
            ),
            tuple(one for key, one in present.items() if key in known and known[key].words != words(one)),
            tuple(key for key in gone if now - self._gone[key] >= _patience(known[key].kind).ends),
        )


def _patience(kind: ProblemKind) -> Patience:
    return PATIENCE.get(kind, USUAL)
