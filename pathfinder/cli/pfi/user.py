"""`pfi user`: who may log in."""

from typing import Annotated

import typer

from pathfinder.cli.pfi import columns
from pathfinder.cli.pfi.listing import Shape
from pathfinder.cli.pfi.login import secret
from pathfinder.cli.pfi.options import Output, OutputOption
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.showing import show
from pathfinder.cli.pfi.terminal import say
from pathfinder.cli.pfi.verbs import group
from pathfinder.client import Client
from pathfinder.domain.access import Role
from pathfinder.domain.identity import User

app = group("Say who may log in, and what for.")

Name = Annotated[str, typer.Argument(metavar="NAME")]
ClusterScope = Annotated[
    list[str] | None,
    typer.Option("--for", metavar="CLUSTER", help="Only this cluster; may be repeated. All if left out."),
]
USERS = Shape[User](narrow=columns.USERS, wide=columns.USERS, name=lambda it: it.name)


@app.command(epilog="Example: pfi user create alice --role operator --for default")
def create(
    ctx: typer.Context,
    name: Name,
    role: Annotated[Role, typer.Option(help="viewer, operator or admin.")] = Role.VIEWER,
    clusters: ClusterScope = None,
) -> None:
    """Make a user. The password is asked for, or read from standard input."""
    password = secret("Password: ")
    made = run(ctx, lambda client: client.users.create(name, password, role=role, clusters=clusters or None))
    say(f"user {made.name} is there, role {made.role}")


@app.command(name="list")
def list_(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List every user."""
    run(ctx, lambda client: _list(client, output))


async def _list(client: Client, output: Output) -> None:
    show([one async for one in client.users.list()], USERS, output)


@app.command()
def passwd(ctx: typer.Context, name: Name) -> None:
    """Set a user's password, which ends every session and token of theirs.

    Who sets their own is asked for the present one first; from standard input it is the first line, the new one next.
    """
    own = run(ctx, lambda client: client.identity.who()).user == name
    current = secret("Present password: ") if own else None
    password = secret("New password: ")
    run(ctx, lambda client: client.users.set_password(name, password, current=current))
    say(f"user {name}: the password is set")


@app.command()
def delete(ctx: typer.Context, name: Name) -> None:
    """Forget a user; sessions and tokens of theirs end at once."""
    run(ctx, lambda client: client.users.delete(name))
    say(f"user {name} is deleted")
