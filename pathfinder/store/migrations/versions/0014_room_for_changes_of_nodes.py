"""Pages of nodes and leases keep room for changes, and those that are set aside have an index"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # Pages that are full already get room as their rows are changed.
    op.execute("ALTER TABLE nodes SET (fillfactor = 50)")
    op.execute("ALTER TABLE leases SET (fillfactor = 50)")
    op.create_index(
        "ix_nodes_aside", "nodes", ["id"], unique=False, postgresql_where=sa.text("aside_until IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_index("ix_nodes_aside", table_name="nodes")
    op.execute("ALTER TABLE leases RESET (fillfactor)")
    op.execute("ALTER TABLE nodes RESET (fillfactor)")
