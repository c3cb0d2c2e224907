"""`pathfinder secret`: the keys that secrets are encrypted with."""

import asyncio

import typer

from pathfinder.cli.operator import configuration


def key() -> None:
    """Print a new key, for the file of PATHFINDER_SECRET_KEYS."""
    from cryptography.fernet import Fernet

    typer.echo(Fernet.generate_key().decode())


def rotate() -> None:
    """Encrypt every secret anew with the first key of the file; after that the others can be taken out of it."""
    typer.echo(f"{asyncio.run(_rotate())} secrets are encrypted with the first key")


async def _rotate() -> int:
    from pathfinder.store.database import Database
    from pathfinder.store.secrets import Vault

    settings = configuration.settings()
    database = Database(settings.database_url, ca_file=settings.ca_file)
    try:
        async with database.begin() as tx:
            return await Vault(settings.secret_keys).rotate(tx)
    finally:
        await database.close()


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="Keys of secrets.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("key")(key)
    group.command("rotate")(rotate)
    app.add_typer(group, name="secret")
