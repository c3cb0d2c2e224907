"""Departures whose instance may run, leases as agents count on them, why a node stays DOWN, what full queues hold"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("departures", sa.Column("guarded", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_index(
        "ix_departures_guarded",
        "departures",
        ["container_id"],
        unique=False,
        postgresql_where=sa.text("guarded"),
    )
    op.add_column("nodes", sa.Column("held_back", sa.Text(), nullable=True))
    op.add_column("outbox", sa.Column("held", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("leases", sa.Column("seconds", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("leases", "seconds")
    op.drop_column("outbox", "held")
    op.drop_column("nodes", "held_back")
    op.drop_index("ix_departures_guarded", table_name="departures")
    op.drop_column("departures", "guarded")
