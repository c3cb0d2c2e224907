"""`get --watch`: a list that follows the event stream.

An event says *that* something changed; what it looks like now is read from the API, so a row is never a guess.
"""

import sys
from contextlib import aclosing
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from pydantic import BaseModel

from pathfinder.cli.pfi.listing import Listing
from pathfinder.cli.pfi.notices import Notices
from pathfinder.cli.pfi.options import Output
from pathfinder.cli.pfi.output import as_json, as_yaml
from pathfinder.cli.pfi.table import Table
from pathfinder.cli.pfi.terminal import has_colour, is_live, say
from pathfinder.client import ApiError, Client, EventSelection

OVERLAP = "10s"

View = TypeVar("View", bound=BaseModel)


class Screen(Protocol[View]):
    """Where a watched list is shown."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, items: dict[str, View], changes: list[View]) -> None:
        """Show the list as it is now, and what has changed since."""


class Redrawn(Generic[View]):
    """A table on a terminal, redrawn in place."""

    def __init__(self, table: Table[View]) -> None:
        from rich.live import Live  # only terminals need it

        self._table = table
        self._live = Live(auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, items: dict[str, View], changes: list[View]) -> None:
        """Draw the whole table anew."""
        from rich.text import Text

        lines = self._table.render([items[name] for name in sorted(items)])
        self._live.update(Text.from_ansi("\n".join(lines), no_wrap=True, overflow="crop"), refresh=True)


class Appended(Generic[View]):
    """Changed items one after another, for pipes: rows, lines of JSON, YAML documents or names."""

    def __init__(self, listing: Listing[View], output: Output, table: Table[View]) -> None:
        self._listing, self._output, self._table = listing, output, table
        self._begun = False
        self._written: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, items: dict[str, View], changes: list[View]) -> None:
        """Write the items that have changed."""
        if not self._begun and self._output in (Output.TABLE, Output.WIDE):
            self._table.measure(changes)
            say(self._table.header())
        self._begun = True
        for item in changes:
            line, name = self._line(item), self._listing.name(item)
            if self._written.get(name) != line:  # what changed may be in no column that is shown
                say(line)
            self._written[name] = line

    def _line(self, item: View) -> str:
        match self._output:
            case Output.JSON:
                return as_json(item)
            case Output.YAML:
                return f"---\n{as_yaml(item)}"
            case Output.NAME:
                return self._listing.name(item)
            case _:
                return self._table.row(item)


class Watch(Notices, Generic[View]):
    """Keeps a list as the server has it: read whole whenever a connection is made, item by item after that."""

    def __init__(self, client: Client, listing: Listing[View], screen: Screen[View]) -> None:
        super().__init__()
        self._client, self._listing, self._screen = client, listing, screen
        self._items: dict[str, View] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        # A little of the past, because "now" is when the server has begun to listen: some moment after it answered.
        # An item that is read twice costs a request and shows nothing.
        selection = EventSelection(kinds=self._listing.kinds, since=OVERLAP)
        with self._screen:
            async with aclosing(self._client.events.follow(selection, listener=self)) as events:
                async for event in events:
                    if name := self._listing.changed(event):
                        await self._refresh(name)

    async def connected(self) -> None:
        """Read the list. The stream is open already, so no change can fall between the two."""
        await super().connected()
        listing = self._listing
        now = {listing.name(item): item async for item in listing.every() if listing.admits(item)}
        gone = [listing.gone(item) for name, item in self._items.items() if name not in now]
        changes = [item for name, item in now.items() if self._items.get(name) != item]
        self._items = now
        self._screen.show(now, gone + changes)

    async def _refresh(self, name: str) -> None:
        old, new = self._items.get(name), await self._read(name)
        if old == new:
            return
        if new is not None:
            self._items[name] = new
            self._screen.show(self._items, [new])
        elif old is not None:
            del self._items[name]
            self._screen.show(self._items, [self._listing.gone(old)])

    async def _read(self, name: str) -> View | None:
        try:
            item = await self._listing.one(name)
        except ApiError as refusal:
            if refusal.status == 404:
                return None
            raise
        return item if self._listing.admits(item) else None


async def watch(client: Client, listing: Listing[View], output: Output) -> None:
    """Show a list and every change of it, until Ctrl-C."""
    columns = listing.wide if output is Output.WIDE else listing.narrow
    table = Table(columns, colour=has_colour(sys.stdout))
    redraw = output in (Output.TABLE, Output.WIDE) and is_live(sys.stdout)
    screen: Screen[View] = Redrawn(table) if redraw else Appended(listing, output, table)
    await Watch(client, listing, screen).run()
