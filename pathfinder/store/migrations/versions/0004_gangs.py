"""Containers that are placed all at once or not at all; new ones are found among many that wait"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("containers", sa.Column("gang", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_containers_gang", "containers", ["gang", "id"], unique=False, postgresql_where=sa.text("gang IS NOT NULL")
    )
    op.create_index(
        "ix_containers_fresh",
        "containers",
        ["cluster_id", sa.text("(- priority)"), "id"],
        unique=False,
        postgresql_where=sa.text("status = 'PENDING' AND NOT waiting"),
    )


def downgrade() -> None:
    op.drop_index("ix_containers_fresh", table_name="containers")
    op.drop_index("ix_containers_gang", table_name="containers")
    op.drop_column("containers", "gang")
