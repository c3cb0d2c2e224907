"""Alembic's entry point: runs the migrations over the connection `store/migrate.py` hands it."""

from alembic import context

from pathfinder.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
