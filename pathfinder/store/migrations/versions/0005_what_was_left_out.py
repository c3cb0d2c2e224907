"""Decisions that something was left out of are found among all others"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index(
        "ix_decisions_skipped",
        "decisions",
        ["at"],
        unique=False,
        postgresql_where=sa.text("document -> 'skipped' <> '[]'::jsonb"),
    )


def downgrade() -> None:
    op.drop_index("ix_decisions_skipped", table_name="decisions")
