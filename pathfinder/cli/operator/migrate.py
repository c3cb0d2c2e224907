"""`pathfinder migrate`: bring the database to the newest schema."""

import asyncio

import typer

from pathfinder.cli.operator import configuration
from pathfinder.domain.errors import AlreadyExists
from pathfinder.settings import Settings


async def prepare(settings: Settings) -> None:
    """Run the missing migrations and make sure that the cluster `settings.cluster` is there."""
    # Here, for Alembic takes longer to load than a role that starts with this command.
    from pathfinder.store import clusters
    from pathfinder.store.database import Database
    from pathfinder.store.migrate import migrate as run_migrations

    database = Database(settings.database_url, ca_file=settings.ca_file)
    try:
        await run_migrations(database)
        try:
            async with database.begin() as tx:
                await clusters.create(tx, settings.cluster, "spread", settings.default_image, "migrate", "")
        except AlreadyExists:
            pass
    finally:
        await database.close()


def migrate() -> None:
    """Bring the database to the newest schema and create the cluster if it is new. Running it again is harmless."""
    asyncio.run(prepare(configuration.settings()))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("migrate")(migrate)
