"""Which destinations are left alone for a while, because their queue is full or does not answer."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

#: An exchange and a routing key.
Way = tuple[str, str]

#: The first pause, and the longest; each next one takes twice as long.
FIRST_SECONDS = 0.25
MOST_SECONDS = 5.0

#: A queue that so often in a row did not answer never will.
HOPELESS = 5


@dataclass(slots=True)
class Holding:
    """Ways that were refused lately, each until its next try. Times are seconds on any clock that only grows.

    Among them are `suspects`: their queue may be one that does not answer and keeps waiting whoever talks to it, so
    they are tried apart from all others.
    """

    _until: dict[Way, tuple[float, float]] = field(default_factory=dict)
    #: How often in a row nothing was said.
    suspects: dict[Way, int] = field(default_factory=dict)

    def refused(self, way: Way, now: float) -> None:
        """Leave it alone, longer each time in a row."""
        _, pause = self._until.get(way, (0.0, FIRST_SECONDS / 2))
        pause = min(pause * 2, MOST_SECONDS)
        self._until[way] = (now + pause, pause)

    def suspect(self, ways: Iterable[Way]) -> None:
        """One of these was not answered, or all."""
        for way in ways:
            self.suspects.setdefault(way, 0)

    def silent(self, way: Way, now: float) -> None:
        """It was not answered, though nothing else was in its way, or little: leave it alone, too."""
        self.suspects[way] = self.suspects.get(way, 0) + 1
        self.refused(way, now)

    def hopeless(self) -> list[Way]:
        """Those whose queue will not answer any more."""
        return [way for way, times in self.suspects.items() if times >= HOPELESS]

    def only(self, ways: Collection[Way]) -> None:
        """All others were tried, or nothing waits for them any more: they are like any again."""
        self._until = {way: held for way, held in self._until.items() if way in ways}
        self.suspects = {way: times for way, times in self.suspects.items() if way in ways}

    def ways(self, now: float) -> list[Way]:
        """Those to leave alone now."""
        return [way for way, (until, _) in self._until.items() if until > now]

    def next(self, now: float) -> float | None:
        """Seconds until one may be tried again; None if none is held."""
        return min((max(0.0, until - now) for until, _ in self._until.values()), default=None)
