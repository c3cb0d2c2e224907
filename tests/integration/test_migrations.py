"""The migrations and the tables say the same."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from pathfinder.bootstrap import Process
from pathfinder.store.migrate import migrate
from pathfinder.store.tables import metadata


async def test_the_migrations_make_the_tables_that_the_code_defines(process: Process) -> None:
    """Alembic would generate an empty migration."""
    async with process.database.engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync, opts={"compare_type": True, "compare_server_default": True}), metadata
            )
        )

    assert differences == []


async def test_migrating_again_changes_nothing(process: Process) -> None:
    """`make up` does it each time."""
    await migrate(process.database)
    await migrate(process.database)
