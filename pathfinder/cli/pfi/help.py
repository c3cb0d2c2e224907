"""`pfi help`."""

from typing import Annotated

import typer
from typer.core import TyperGroup

from pathfinder.cli.pfi.failures import Usage
from pathfinder.cli.pfi.terminal import say
from pathfinder.cli.pfi.verbs import single

app = single()


@app.command(name="help")
def help_(ctx: typer.Context, command: Annotated[list[str] | None, typer.Argument(metavar="COMMAND")] = None) -> None:
    """Explain a command: pfi help create container."""
    at = ctx.find_root()
    for word in command or []:
        found = at.command.get_command(at, word) if isinstance(at.command, TyperGroup) else None
        if found is None:
            raise Usage(f"there is no command {' '.join(command or [])!r}", "pfi help lists what there is")
        at = typer.Context(found, info_name=word, parent=at)
    say(at.get_help())
