"""Priorities, quotas, overcommit, taints and limits of nodes, policies that people write, decisions that are kept"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# What is there already is counted once; whoever still runs the code of before does not go on counting.
_COUNT_STATEFUL = """
    UPDATE nodes AS n SET stateful = p.stateful
    FROM (
        SELECT node_id, count(*) AS stateful FROM (
            SELECT node_id FROM containers
            WHERE type = 'STATEFUL' AND status NOT IN ('PENDING', 'PROVISION_ERROR', 'DELETED')
            UNION ALL SELECT node_id FROM departures WHERE stateful
        ) AS each WHERE node_id IS NOT NULL GROUP BY node_id
    ) AS p WHERE p.node_id = n.id
"""


def _json(name: str, default: str = "{}") -> sa.Column[object]:
    return sa.Column(
        name,
        postgresql.JSONB(astext_type=sa.Text()),
        server_default=sa.text(f"'{default}'::jsonb"),
        nullable=False,
    )


def upgrade() -> None:
    op.create_table(
        "policies",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        _json("document"),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_policies")),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cluster_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("seed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        _json("document"),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"], name=op.f("fk_decisions_cluster_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index("ix_decisions_at", "decisions", ["cluster_id", "at"], unique=False)

    op.add_column("clusters", sa.Column("quota", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("clusters", _json("overcommit"))

    op.add_column("nodes", _json("own_labels"))
    op.add_column("nodes", sa.Column("pool", sa.Text(), server_default="default", nullable=False))
    op.add_column("nodes", _json("taints", "[]"))
    op.add_column("nodes", _json("overcommit"))
    op.add_column("nodes", sa.Column("max_containers", sa.BigInteger(), nullable=True))
    op.add_column("nodes", sa.Column("max_stateful", sa.BigInteger(), nullable=True))
    op.add_column("nodes", _json("capabilities", "[]"))
    op.add_column("nodes", _json("images", "[]"))
    op.add_column("nodes", sa.Column("stateful", sa.BigInteger(), server_default=sa.text("0"), nullable=False))

    op.add_column("containers", sa.Column("priority", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("containers", sa.Column("policy", sa.Text(), nullable=True))
    op.add_column("containers", sa.Column("averse", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("containers", sa.Column("decision_id", sa.Uuid(), nullable=True))
    op.drop_index("ix_containers_pending", table_name="containers")
    op.create_index(
        "ix_containers_pending",
        "containers",
        ["cluster_id", sa.text("(- priority)"), "id"],
        unique=False,
        postgresql_where=sa.text("status = 'PENDING'"),
    )
    op.add_column(
        "containers", sa.Column("wakes", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False)
    )
    op.create_index(
        "ix_containers_woken",
        "containers",
        ["wakes"],
        unique=False,
        postgresql_using="gin",
        postgresql_where=sa.text("status = 'PENDING' AND waiting"),
    )
    op.create_index(
        "ix_containers_averse",
        "containers",
        ["cluster_id"],
        unique=False,
        postgresql_where=sa.text("averse AND node_id IS NOT NULL"),
    )
    op.create_index(
        "ix_containers_policy",
        "containers",
        ["policy"],
        unique=False,
        postgresql_where=sa.text("policy IS NOT NULL AND status <> 'DELETED'"),
    )

    op.add_column("departures", sa.Column("stateful", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.execute(
        "UPDATE departures AS d SET stateful = true FROM containers AS c "
        "WHERE c.id = d.container_id AND c.type = 'STATEFUL'"
    )
    op.execute(_COUNT_STATEFUL)


def downgrade() -> None:
    op.drop_column("departures", "stateful")
    op.drop_index("ix_containers_policy", table_name="containers")
    op.drop_index("ix_containers_averse", table_name="containers")
    op.drop_index("ix_containers_woken", table_name="containers")
    op.drop_index("ix_containers_pending", table_name="containers")
    op.create_index(
        "ix_containers_pending",
        "containers",
        ["cluster_id", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'PENDING'"),
    )
    for column in ("wakes", "decision_id", "averse", "policy", "priority"):
        op.drop_column("containers", column)
    for column in (
        *("stateful", "images", "capabilities", "max_stateful", "max_containers"),
        *("overcommit", "taints", "pool", "own_labels"),
    ):
        op.drop_column("nodes", column)
    op.drop_column("clusters", "overcommit")
    op.drop_column("clusters", "quota")
    op.drop_index("ix_decisions_at", table_name="decisions")
    op.drop_table("decisions")
    op.drop_table("policies")
