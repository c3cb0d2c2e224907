"""`pathfinder logs`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from pathfinder.embedded.errors import EmbeddedError
from pathfinder.embedded.home import Home


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(logs)


def logs(
    service: Annotated[str | None, typer.Argument(help="As in `pathfinder status`; all of them if left out.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 50,
) -> None:
    """Show the end of a service's log."""
    paths = _paths(Home.default().logs, service)
    # `tail` knows about rotation and several files, and there is no better one.
    arguments = ["tail", "-n", str(lines), *(["-F"] if follow else []), *map(str, paths)]
    os.execvp(arguments[0], arguments)  # noqa: S606  no shell wanted


def _paths(directory: Path, service: str | None) -> list[Path]:
    known = sorted(directory.glob("*.log"))
    found = [path for path in known if service in (None, path.stem)]
    if not found:
        names = ", ".join(path.stem for path in known) or "none yet"
        raise EmbeddedError(f"There is no log of {service or 'any service'}; there are: {names}.")
    return found
