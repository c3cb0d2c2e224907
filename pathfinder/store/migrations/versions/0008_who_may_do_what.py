"""Users, their sessions and devices; what tokens may, when they were used; secrets"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def _now() -> sa.TextClause:
    return sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("clusters", ARRAY(sa.Uuid()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=_now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.Column("agent", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=_now(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("sha256", name=op.f("uq_sessions_sha256")),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_table(
        "devices",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), server_default=_now(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_devices_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_devices")),
    )
    op.create_index("ix_devices_user_id", "devices", ["user_id"])
    op.create_index("ix_devices_used", "devices", ["used_at"])
    op.add_column("tokens", sa.Column("user_id", sa.Uuid(), nullable=True))
    op.add_column("tokens", sa.Column("clusters", ARRAY(sa.Uuid()), nullable=True))
    op.add_column("tokens", sa.Column("actor", sa.Text(), nullable=True))
    op.add_column("tokens", sa.Column("uses", sa.BigInteger(), nullable=True))
    op.add_column("tokens", sa.Column("used_at", sa.DateTime(timezone=True), nullable=True))
    op.create_foreign_key(op.f("fk_tokens_user_id"), "tokens", "users", ["user_id"], ["id"], ondelete="CASCADE")
    op.create_index("ix_tokens_user_id", "tokens", ["user_id"])
    op.create_index("uq_tokens_name", "tokens", ["name"], unique=True, postgresql_where=sa.text("actor IS NOT NULL"))
    op.create_index("ix_tokens_expires", "tokens", ["expires_at"], postgresql_where=sa.text("expires_at IS NOT NULL"))
    op.create_table(
        "joins",
        sa.Column("token_id", sa.Uuid(), nullable=False),
        sa.Column("machine_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=op.f("fk_joins_token_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_id", "machine_id", name=op.f("pk_joins")),
    )
    op.create_table(
        "secrets",
        sa.Column("cluster_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=_now(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=_now(), nullable=False),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"], name=op.f("fk_secrets_cluster_id")),
        sa.PrimaryKeyConstraint("cluster_id", "name", name=op.f("pk_secrets")),
    )


def downgrade() -> None:
    for table in ("secrets", "joins"):
        op.drop_table(table)
    for index in ("ix_tokens_expires", "uq_tokens_name", "ix_tokens_user_id"):
        op.drop_index(index, table_name="tokens")
    for column in ("used_at", "uses", "actor", "clusters", "user_id"):
        op.drop_column("tokens", column)
    for table in ("devices", "sessions", "users"):
        op.drop_table(table)
