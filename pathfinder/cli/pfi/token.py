"""`pfi token`: what programs ask with."""

from typing import Annotated
from uuid import UUID

import typer

from pathfinder.cli.pfi import columns, parsing
from pathfinder.cli.pfi.failures import Failed
from pathfinder.cli.pfi.listing import Shape
from pathfinder.cli.pfi.options import Output, OutputOption
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.showing import show
from pathfinder.cli.pfi.terminal import note, say
from pathfinder.cli.pfi.user import ClusterScope, Name
from pathfinder.cli.pfi.verbs import group
from pathfinder.client import Client
from pathfinder.domain.access import Role
from pathfinder.domain.identity import NewToken, Token

app = group("Make tokens for programs, list and revoke them.")

TOKENS = Shape[Token](narrow=columns.TOKENS, wide=columns.TOKENS_WIDE, name=lambda it: it.name)
Expires = Annotated[
    str | None, typer.Option(metavar="DURATION", help="How long it lasts, like 12h or 90d; else until it is revoked.")
]


@app.command(epilog="Example: pfi token create ci --role operator --for default --expires 90d")
def create(
    ctx: typer.Context,
    name: Name,
    role: Annotated[Role, typer.Option(help="viewer, operator or admin.")] = Role.VIEWER,
    clusters: ClusterScope = None,
    expires: Expires = None,
) -> None:
    """Make a token, and print it: it is not shown again. Nobody can make one that may more than themselves."""
    tell(
        run(ctx, lambda client: client.tokens.create(name, role=role, clusters=clusters or None, seconds=span(expires)))
    )


@app.command(name="list")
def list_(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the tokens one may revoke: one's own; for admins, everybody's. Nodes' own are not shown."""
    run(ctx, lambda client: _list(client, output))


async def _list(client: Client, output: Output) -> None:
    show([one async for one in client.tokens.list()], TOKENS, output)


@app.command()
def revoke(ctx: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME|ID")]) -> None:
    """Void a token at once."""
    run(ctx, lambda client: _revoke(client, name))
    say(f"token {name} is revoked")


async def _revoke(client: Client, name: str) -> None:
    found = [one.id async for one in client.tokens.list() if name in (one.name, str(one.id))]
    if not found:
        raise Failed(f"there is no token {name} that you may revoke", "see which there are with: pfi token list")
    if len(found) > 1:
        ids = tuple(str(id_) for id_ in found)
        raise Failed(f"{len(found)} tokens are named {name}", "say which by its id", details=ids)
    await client.tokens.revoke(UUID(str(found[0])))


def span(expires: str | None) -> int | None:
    """How long a token lasts, in seconds; None: until it is revoked."""
    return None if expires is None else max(1, int(parsing.duration(expires)))


def tell(made: NewToken) -> None:
    """The token alone on standard output, for scripts."""
    note(f"token {made.name}, role {made.role}; it is not shown again:")
    say(made.token)
