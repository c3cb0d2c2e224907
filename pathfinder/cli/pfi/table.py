"""Plain aligned tables, as `kubectl` and `lxc list --format=compact` users expect them: no borders, easy to cut."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pathfinder.cli.pfi.terminal import Colour, harmless, painted

GAP = "   "
MISSING = "-"

Item = TypeVar("Item")


@dataclass(frozen=True)
class Column(Generic[Item]):
    """A column: its header, the text of an item's cell, and the cell's colour, if it has one.

    `least` is its width from the start, for tables whose rows are not known when the first is written.
    """

    header: str
    text: Callable[[Item], str | None]
    colour: Callable[[Item], Colour | None] = lambda _: None
    least: int = 0


Columns = Sequence[Column[Item]]


class Table(Generic[Item]):
    """A table that may grow: its columns only ever get wider, so rows added later stay aligned with the earlier."""

    def __init__(self, columns: Columns[Item], *, colour: bool = False) -> None:
        self.columns = columns
        self.colour = colour
        self._widths = [max(len(column.header), column.least) for column in self.columns]

    def header(self) -> str:
        """The header line, as wide as the rows seen so far."""
        return self._line([column.header for column in self.columns])

    def measure(self, items: Iterable[Item]) -> None:
        """Make the columns wide enough for `items`."""
        for item in items:
            self._measure(self._cells(item))

    def row(self, item: Item) -> str:
        """One item's line."""
        cells = self._cells(item)
        self._measure(cells)
        return self._line(cells, [column.colour(item) for column in self.columns] if self.colour else ())

    def render(self, items: Sequence[Item]) -> list[str]:
        """The whole table."""
        self.measure(items)
        return [self.header(), *(self.row(item) for item in items)]

    def _cells(self, item: Item) -> list[str]:
        return [harmless(column.text(item) or MISSING) for column in self.columns]

    def _measure(self, cells: Sequence[str]) -> None:
        self._widths = [max(width, len(cell)) for width, cell in zip(self._widths, cells, strict=True)]

    def _line(self, cells: Sequence[str], colours: Sequence[Colour | None] = ()) -> str:
        """Cells side by side. The last is not padded: a line ends with its text."""
        padded = [cell.ljust(width) for cell, width in zip(cells, self._widths, strict=True)]
        padded[-1] = cells[-1]
        if colours:
            padded = [painted(cell, colour) for cell, colour in zip(padded, colours, strict=True)]
        return GAP.join(padded).rstrip()
