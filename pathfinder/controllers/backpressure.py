"""Whether new work is refused for a while, because too much of the old is waiting."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Pressure:
    """How much is waiting in each place, against its mark.

    A place that reaches its mark closes, and opens again below half of it: between the two it stays as it was, so that
    callers are not let in one by one. A mark of 0 never closes.
    """

    marks: Mapping[str, int]
    _depths: dict[str, int] = field(default_factory=dict)
    _closed: set[str] = field(default_factory=set)

    def measured(self, place: str, depth: int) -> bool:
        """Note how much waits in a place; whether that closed or opened it."""
        mark, was = self.marks[place], place in self._closed
        self._depths[place] = depth
        if mark and depth >= mark:
            self._closed.add(place)
        elif depth < mark / 2 or not mark:
            self._closed.discard(place)
        return (place in self._closed) != was

    @property
    def reason(self) -> str | None:
        """Why new work is refused, in words for who asks for it; None while it is not."""
        if not self._closed:
            return None
        full = [
            f"{self._depths[place]} messages or more wait in {place} (it is open again below {self.marks[place] // 2})"
            for place in sorted(self._closed)
        ]
        return (
            f"Too much work is waiting already: {'; '.join(full)}. What was accepted is not lost, and everything but "
            "creates goes on. Try again after the seconds that Retry-After says. If it stays so, see that the relay, "
            "the scheduler, the recorder and RabbitMQ run, and that there are enough of them."
        )
