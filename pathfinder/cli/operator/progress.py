"""Progress on the screen: spinners on a terminal, one plain line for each finished step elsewhere."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

_REFRESH_PER_SECOND = 12.5
_TITLE_WIDTH = 18


@dataclass
class _Line:
    """A step as it is shown."""

    title: str
    started: float = field(default_factory=time.monotonic)
    detail: str = ""
    spinner: Spinner = field(default_factory=lambda: Spinner("dots", style="cyan"))

    def say(self, detail: str) -> None:
        """What it is at now; the last of these is its result."""
        self.detail = detail

    def text(self, mark: str, style: str) -> Text:
        """The finished line."""
        seconds = time.monotonic() - self.started
        return Text.assemble(
            (mark, style), f" {self.title:<{_TITLE_WIDTH}} {self.detail} ", (f"({seconds:.1f} s)", "dim")
        )


class Screen:
    """Steps of work, several of them at once, drawn as they go. Steps may come from several threads."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._lines: list[_Line] = []
        self._lock = threading.RLock()
        self._live: Live | None = None

    @contextmanager
    def step(self, title: str) -> Iterator[_Line]:
        """Show a step while the context lasts."""
        line = _Line(title)
        self._add(line)
        try:
            yield line
        except BaseException:
            self._finish(line, line.text("✗", "red"))
            raise
        self._finish(line, line.text("✓", "green"))

    def _add(self, line: _Line) -> None:
        with self._lock:
            self._lines.append(line)
            if self._live is None and self.console.is_terminal:
                # Transient: finished steps are printed for good, so what still spins vanishes in the end.
                self._live = Live(
                    get_renderable=self._draw,
                    console=self.console,
                    transient=True,
                    refresh_per_second=_REFRESH_PER_SECOND,
                )
                self._live.start()

    def _finish(self, line: _Line, text: Text) -> None:
        with self._lock:
            self._lines.remove(line)
            self.console.print(text, soft_wrap=True)
            if self._live is not None and not self._lines:
                self._live.stop()
                self._live = None

    def _draw(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for line in list(self._lines):
            table.add_row(line.spinner, f"{line.title:<{_TITLE_WIDTH}}", Text(line.detail, style="dim"))
        return table
