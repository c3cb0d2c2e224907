"""`pfi session`: who is logged in to the console."""

from typing import Annotated

import typer

from pathfinder.cli.pfi import columns
from pathfinder.cli.pfi.listing import Shape
from pathfinder.cli.pfi.options import Output, OutputOption
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.showing import show
from pathfinder.cli.pfi.terminal import say
from pathfinder.cli.pfi.verbs import group
from pathfinder.client import Client
from pathfinder.domain.identity import KnownSession

app = group("List logins to the console, and end them.")

SESSIONS = Shape[KnownSession](narrow=columns.SESSIONS, wide=columns.SESSIONS_WIDE, name=lambda it: str(it.id))


@app.command(name="list")
def list_(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List one's own sessions; for admins, everybody's."""
    run(ctx, lambda client: _list(client, output))


async def _list(client: Client, output: Output) -> None:
    show([one async for one in client.identity.sessions()], SESSIONS, output)


@app.command()
def revoke(ctx: typer.Context, id_: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """End a session at once."""
    run(ctx, lambda client: client.identity.end_session(id_))
    say(f"session {id_} is ended")
