"""`pathfinder migrate`: bring the database to the newest schema."""

import asyncio

import typer

from pathfinder.cli.operator import configuration
from pathfinder.settings import Settings


async def prepare(settings: Settings) -> None:
    """Run the missing migrations and make sure that the cluster `settings.cluster` is there."""
    # Here, for a role that starts with this command need not load them.
    from pathfinder.store import preparing
    from pathfinder.store.database import Database

    database = Database(settings.database_url, ca_file=settings.ca_file)
    try:
        await preparing.schema(database, settings.cluster, settings.default_image)
    finally:
        await database.close()


def migrate() -> None:
    """Bring the database to the newest schema and create the cluster if it is new. Running it again is harmless."""
    asyncio.run(prepare(configuration.settings()))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("migrate")(migrate)
