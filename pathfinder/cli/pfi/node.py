"""`pfi node`: letting nodes join."""

import secrets
from typing import Annotated

import typer

from pathfinder.cli.pfi.session import run, target
from pathfinder.cli.pfi.token import span, tell
from pathfinder.cli.pfi.verbs import group
from pathfinder.domain.access import Role

app = group("Let nodes join this cluster.")


@app.callback()
def node() -> None:
    """Let nodes join this cluster."""


@app.command(epilog="Example: PATHFINDER_JOIN_TOKEN=$(pfi node token --uses 3)")
def token(
    ctx: typer.Context,
    uses: Annotated[int, typer.Option(min=1, metavar="N", help="How many machines it may admit.")] = 1,
    expires: Annotated[str, typer.Option(metavar="DURATION", help="How long it lasts, like 10m or 7d.")] = "1h",
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Its name; made if left out.")] = None,
) -> None:
    """Make a join token, and print it: an agent is told it as PATHFINDER_JOIN_TOKEN."""
    name = name or f"join-{secrets.token_hex(4)}"
    cluster, seconds = target(ctx).cluster, span(expires)
    tell(
        run(
            ctx,
            lambda client: client.tokens.create(name, role=Role.JOIN, clusters=[cluster], seconds=seconds, uses=uses),
        )
    )
