"""Containers that were restarted and have not stayed well since are found without looking at the others"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index(
        "ix_containers_restarted",
        "containers",
        ["cluster_id"],
        unique=False,
        postgresql_where=sa.text("restarts > 0 AND status <> 'DELETED'"),
    )


def downgrade() -> None:
    op.drop_index("ix_containers_restarted", table_name="containers")
