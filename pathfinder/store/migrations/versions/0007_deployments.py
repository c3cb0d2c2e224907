"""Deployments: templates and their revisions, whose replica a container is, bootstraps, scalings, measurements"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    _deployments()
    _histories()
    op.add_column("containers", sa.Column("deployment_id", sa.Uuid(), nullable=True))
    op.add_column("containers", _count("revision"))
    op.add_column("containers", sa.Column("bootstrapped", sa.Text(), nullable=True))
    op.add_column("containers", sa.Column("health_message", sa.Text(), nullable=True))
    op.add_column("containers", sa.Column("health_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("containers", _count("restarts"))
    op.create_index(
        "ix_containers_deployment",
        "containers",
        ["deployment_id"],
        unique=False,
        postgresql_where=sa.text("deployment_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_containers_deployment", table_name="containers")
    for column in ("restarts", "health_at", "health_message", "bootstrapped", "revision", "deployment_id"):
        op.drop_column("containers", column)
    for table in ("measurements", "scalings", "bootstraps", "touches", "revisions", "deployments"):
        op.drop_table(table)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)


def _now(name: str) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def _json(name: str) -> sa.Column[Any]:
    type_ = postgresql.JSONB(astext_type=sa.Text())
    return sa.Column(name, type_, server_default=sa.text("'{}'::jsonb"), nullable=False)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), server_default=sa.text("false"), nullable=False)


def _of_deployment(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_deployment_id")
    return sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=name, ondelete="CASCADE")


def _deployments() -> None:
    op.create_table(
        "deployments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cluster_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        _json("labels"),
        _json("document"),
        _count("replicas"),
        _count("version"),
        _count("revision"),
        sa.Column("stable", sa.BigInteger(), nullable=True),
        _flag("paused"),
        _flag("leaving"),
        _json("rollout"),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("wake_at", sa.DateTime(timezone=True), nullable=True),
        _now("created_at"),
        _now("changed_at"),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"], name=op.f("fk_deployments_cluster_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
    )
    op.create_index("uq_deployments_name", "deployments", ["cluster_id", "name"], unique=True)
    op.create_index(
        "ix_deployments_wake_at",
        "deployments",
        ["wake_at"],
        unique=False,
        postgresql_where=sa.text("wake_at IS NOT NULL"),
    )
    op.create_table(
        "revisions",
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        _json("template"),
        sa.Column("cause", sa.Text(), server_default="", nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        _now("created_at"),
        _of_deployment("revisions"),
        sa.PrimaryKeyConstraint("deployment_id", "revision", name=op.f("pk_revisions")),
    )
    op.create_table(
        "touches",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_touches")),
    )


def _histories() -> None:
    op.create_table(
        "bootstraps",
        sa.Column("container_id", sa.Uuid(), nullable=False),
        sa.Column("run", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        _count("attempts"),
        sa.Column("exit_code", sa.BigInteger(), nullable=True),
        sa.Column("output", sa.Text(), server_default="", nullable=False),
        _now("started_at"),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["container_id"], ["containers.id"], name=op.f("fk_bootstraps_container_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("container_id", "run", "step", name=op.f("pk_bootstraps")),
    )
    op.create_index("ix_bootstraps_started_at", "bootstraps", ["started_at"], unique=False)
    op.create_table(
        "scalings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        _now("at"),
        _count("before"),
        _count("after"),
        _json("document"),
        _of_deployment("scalings"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scalings")),
    )
    op.create_index("ix_scalings_at", "scalings", ["at"], unique=False)
    op.create_index("ix_scalings_deployment", "scalings", ["deployment_id", "at"], unique=False)
    op.create_table(
        "measurements",
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        _of_deployment("measurements"),
        sa.PrimaryKeyConstraint("deployment_id", "metric", "at", name=op.f("pk_measurements")),
    )
    op.create_index("ix_measurements_at", "measurements", ["at"], unique=False)
