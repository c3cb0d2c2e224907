"""`pfi version`."""

from typing import Annotated

import typer

from pathfinder import __version__
from pathfinder.cli.pfi.terminal import harmless, say
from pathfinder.cli.pfi.verbs import single

app = single()


@app.command()
def version(
    ctx: typer.Context,
    remote: Annotated[bool, typer.Option("--remote", help="Also ask the server for its version.")] = False,
) -> None:
    """Print the version of pfi, and with --remote the server's."""
    say(f"pfi {__version__}")
    if remote:
        from pathfinder.cli.pfi.session import run, target  # the plain answer must not wait for a client to load

        say(harmless(f"server {run(ctx, lambda client: client.version())} at {target(ctx).server}"))
