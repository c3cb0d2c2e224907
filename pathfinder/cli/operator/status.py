"""`pathfinder status`."""

from collections.abc import Sequence
from datetime import UTC, datetime

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pathfinder.embedded.home import Home
from pathfinder.embedded.machine import has_units
from pathfinder.embedded.supervisor import Status, Supervisor

_STYLES = {"RUNNING": "green", "STARTING": "yellow", "STOPPING": "yellow"}
NOTHING = "Nothing is running. Start it with: {}"
#: Where `up` would start a second Pathfinder.
UNITS = """\
Nothing of `pathfinder up` is running. On this machine systemd runs Pathfinder; see:
  systemctl status 'pathfinder@*'
  journalctl --unit 'pathfinder@*'"""
#: Paths are never broken in a pipe or a file.
_FILE_WIDTH = 1000
#: supervisord calls a program running once it has held for a second; one that was just started is well, too.
_WELL = {"RUNNING", "STARTING"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status() -> None:
    """Show the programs that `up` started on this machine: state, process, since when, and log. 0 if all run, else 1.

    How Pathfinder is as a whole, wherever its parts run, is told by: pfi status
    """
    show(Supervisor(Home.default()).status(), UNITS if has_units() else NOTHING.format("pathfinder up"))


def show(services: Sequence[Status], nothing: str) -> None:
    """Print the table, and exit with 1 unless every service runs. `nothing` is said where there is none."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    if not services:
        console.print(nothing)
        raise typer.Exit(1)
    table = Table(box=None, pad_edge=False, header_style="")
    for heading in ("SERVICE", "STATE", "PID", "SINCE", "LOG"):
        table.add_column(heading, no_wrap=heading != "LOG", overflow="fold")
    for each in services:
        state = Text(each.state, style=_STYLES.get(each.state, "red"))
        table.add_row(each.name, state, str(each.pid or "-"), _since(each.since), str(each.log))
    console.print(table)
    if any(each.state not in _WELL for each in services):
        raise typer.Exit(1)


def _since(moment: datetime | None) -> str:
    if moment is None:
        return "-"
    seconds = int((datetime.now(UTC) - moment).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit} ago"
    return f"{max(seconds, 0)}s ago"
