"""`pathfinder user`: make users and set their passwords, straight in the database."""

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from pathfinder.cli.operator import configuration
from pathfinder.domain.access import RANKS, Role
from pathfinder.domain.errors import AlreadyExists

if TYPE_CHECKING:  # a role that starts with this command need not load it
    from sqlalchemy.ext.asyncio import AsyncConnection

#: What the event log calls whoever uses this command.
ACTOR = "pathfinder"

Name = Annotated[str, typer.Argument(metavar="NAME")]


def create(
    name: Name,
    role: Annotated[Role, typer.Option(help="viewer, operator or admin, in all clusters.")] = Role.ADMIN,
    keep: Annotated[bool, typer.Option("--keep", help="Leave a user of that name as it is.")] = False,
) -> None:
    """Make a user. The password is asked for, or read from standard input."""
    from pathfinder.store import users

    if role not in RANKS:
        raise typer.BadParameter(f"{role} is for nodes; a user is {', '.join(RANKS)}")
    _change(lambda tx, password: users.create(tx, name, password, role, actor=ACTOR), keep=keep)


def passwd(name: Name) -> None:
    """Set a user's password, and end every session and token of that user."""
    from pathfinder.store import users

    _change(lambda tx, password: users.set_password(tx, name, password, actor=ACTOR))


def _change(work: "Callable[[AsyncConnection, str], Awaitable[None]]", *, keep: bool = False) -> None:
    settings, password = configuration.settings(), _password()

    async def run() -> None:
        from pathfinder.passwords import hashed
        from pathfinder.store.database import Database

        database = Database(settings.database_url, ca_file=settings.ca_file)
        try:
            known = await hashed(password)
            async with database.begin() as tx:
                await work(tx, known)
        except AlreadyExists:
            if not keep:
                raise
        finally:
            await database.close()

    asyncio.run(run())


def _password() -> str:
    given = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not given:
        raise typer.BadParameter("the password is empty")
    return given


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="Make users.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("create")(create)
    group.command("passwd")(passwd)
    app.add_typer(group, name="user")
