"""Bringing the database to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from pathfinder.store.database import Database

MIGRATIONS = Path(__file__).parent / "migrations"

#: A statement may rewrite a large table, or wait for another process that migrates.
STATEMENT_SECONDS = 3600.0


def config(connection: Connection) -> Config:
    """Alembic's configuration, bound to an open connection."""
    alembic = Config()
    alembic.set_main_option("script_location", str(MIGRATIONS))
    alembic.attributes["connection"] = connection
    return alembic


async def migrate(database: Database) -> None:
    """Run every migration that is missing. Safe to call from several processes at once: one runs, the others wait."""
    async with database.session("pathfinder migrate", STATEMENT_SECONDS, {}) as connection:
        await connection.execute(text("SELECT pg_advisory_lock(hashtext('pathfinder.migrate'))"))
        await connection.commit()
        await connection.run_sync(lambda sync: command.upgrade(config(sync), "head"))
        await connection.execute(text("SELECT pg_advisory_unlock(hashtext('pathfinder.migrate'))"))
        await connection.commit()
