"""`pathfinder token`: make bearer tokens, straight in the database."""

import asyncio
from typing import Annotated

import typer

from pathfinder.cli.operator import configuration
from pathfinder.domain.access import Role
from pathfinder.settings import Settings


async def make(settings: Settings, name: str, role: Role) -> str:
    """A new token's secret. Join tokens admit nodes to `settings.cluster` only."""
    # Here, for a role that starts with this command need not load them.
    from pathfinder.store import preparing
    from pathfinder.store.database import Database

    database = Database(settings.database_url, ca_file=settings.ca_file)
    try:
        return await preparing.token(database, name, role, settings.cluster)
    finally:
        await database.close()


def create(
    name: Annotated[str, typer.Option(help="What the event log calls its bearer.")] = "operator",
    role: Annotated[
        Role, typer.Option(help="viewer, operator, admin: use the API; join: register nodes.")
    ] = Role.OPERATOR,
    print_: Annotated[bool, typer.Option("--print", help="Print the token alone, for scripts.")] = False,
) -> None:
    """Make a token and show it, once: only its hash is kept. One for people is for all clusters, and never ends."""
    if role == Role.NODE:
        raise typer.BadParameter("nodes get their own tokens; make one with `--role join` for them to join with")
    secret = asyncio.run(make(configuration.settings(), name, role))
    typer.echo(secret if print_ else f"Token {name!r} ({role}); it is not shown again:\n{secret}")


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="Make bearer tokens.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("create")(create)
    app.add_typer(group, name="token")
