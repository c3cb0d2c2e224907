"""Fewer indexes are written when a container changes"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index(
        "ix_containers_former",
        "containers",
        ["cluster_id", "hostname", "generation"],
        unique=False,
        postgresql_where=sa.text("status = 'DELETED'"),
    )
    op.create_index(
        "ix_containers_labelled",
        "containers",
        ["labels"],
        unique=False,
        postgresql_using="gin",
        postgresql_where=sa.text("labels <> '{}'"),
        postgresql_ops={"labels": "jsonb_path_ops"},
    )
    op.drop_index("ix_containers_generation", table_name="containers")
    op.drop_index("ix_containers_labels", table_name="containers")


def downgrade() -> None:
    op.create_index(
        "ix_containers_labels",
        "containers",
        ["labels"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"labels": "jsonb_path_ops"},
    )
    op.create_index("ix_containers_generation", "containers", ["cluster_id", "hostname", "generation"], unique=False)
    op.drop_index("ix_containers_labelled", table_name="containers")
    op.drop_index("ix_containers_former", table_name="containers")
