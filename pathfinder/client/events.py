"""Events of the API."""

from collections.abc import AsyncGenerator

from pathfinder.client.backoff import Backoff
from pathfinder.client.nouns import Noun
from pathfinder.client.selection import EventSelection
from pathfinder.client.stream import Listener, follow
from pathfinder.domain.views import Event

#: The cursor before the first event there ever was.
BEGINNING = "0"


class Events(Noun):
    """The events of one cluster."""

    def list(
        self, selection: EventSelection | None = None, *, cursor: str | None = None
    ) -> AsyncGenerator[Event, None]:
        """Events that have happened, oldest first, all pages of them."""
        params = [*self._cluster, *(selection or EventSelection()).params()]
        return self._pages(Event, "/events", params, cursor=cursor)

    def audit(self, selection: EventSelection, *, cluster: str | None = None) -> AsyncGenerator[Event, None]:
        """The same of one cluster, or of all that one is for."""
        named = [] if cluster is None else [("cluster", cluster)]
        return self._pages(Event, "/events", [*named, *selection.params()])

    def follow(
        self,
        selection: EventSelection | None = None,
        *,
        cursor: str | None = None,
        listener: Listener | None = None,
        backoff: Backoff | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Events as they happen, each exactly once, whatever happens to connections; see `stream.follow`."""
        params = [*self._cluster, *(selection or EventSelection()).params()]
        return follow(self._connection, params, cursor=cursor, listener=listener, backoff=backoff)
