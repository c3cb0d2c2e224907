"""What streams hand on: some events of the log, encoded once for all that ask for the same."""

from collections.abc import Sequence
from functools import cached_property

from pathfinder.domain import views
from pathfinder.store.events import Cursor, Logged, Query

#: Said where there is nothing to tell, so that both ends know that the other is there.
PING = b": ping\n\n"


class Part:
    """Events of one stream, oldest first; none: nothing happened for a while."""

    def __init__(self, events: Sequence[views.Event]) -> None:
        self.events = events

    @cached_property
    def frames(self) -> bytes:
        """All of them as server-sent events."""
        return b"".join(map(_frame, self.events)) or PING


class Window:
    """Events that were read together, of transactions from `low` on; the parts of it that were asked for are kept."""

    def __init__(self, logged: Sequence[Logged], low: int) -> None:
        self._logged = logged
        self._low = low
        self._parts: dict[Query, Part] = {}

    def part(self, query: Query, reached: Cursor) -> Part:
        """What of it matches, and does not lie before `reached`."""
        if self._low < reached.high:  # a part of it may: that is only once, where past and present of a stream meet
            later = (event for xid, event in self._logged if not reached.covers(xid, event.seq))
            return Part([event for event in later if query.matches(event)])
        if (part := self._parts.get(query)) is None:
            part = self._parts[query] = Part([event for _, event in self._logged if query.matches(event)])
        return part


def opening(reached: Cursor) -> bytes:
    """The place that a stream starts at."""
    return f"id: {reached}\n\n".encode()


def _frame(event: views.Event) -> bytes:
    return f"event: {event.kind}\ndata: {event.model_dump_json()}\nid: {event.cursor}\n\n".encode()
