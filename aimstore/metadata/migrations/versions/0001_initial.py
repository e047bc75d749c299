"""Runs, experiments, tags and notes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NAME = sa.String(512).with_variant(sa.String(512, collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", NAME, nullable=False, unique=True),
        sa.Column("description", sa.Text()),
        sa.Column("archived", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("hash", sa.String(24), primary_key=True),
        sa.Column("name", sa.Text()),
        sa.Column("description", sa.Text()),
        sa.Column("experiment_id", sa.Integer(), sa.ForeignKey("experiments.id")),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger()),
        sa.Column("finalized_at", sa.BigInteger()),
    )
    op.create_index("ix_runs_experiment_id", "runs", ["experiment_id"])
    op.create_index("ix_runs_archived", "runs", ["archived"])
    op.create_index("ix_runs_created_at", "runs", ["created_at"])
    op.create_table(
        "tags",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", NAME, nullable=False, unique=True),
        sa.Column("color", sa.String(64)),
        sa.Column("description", sa.Text()),
        sa.Column("archived", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "run_tags",
        sa.Column("run", sa.String(24), sa.ForeignKey("runs.hash"), nullable=False),
        sa.Column("tag_id", sa.Integer(), sa.ForeignKey("tags.id"), nullable=False),
        sa.PrimaryKeyConstraint("run", "tag_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_run_tags_tag_id", "run_tags", ["tag_id"])
    op.create_table(
        "notes",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("run", sa.String(24), sa.ForeignKey("runs.hash"), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notes_run", "notes", ["run"])


def downgrade() -> None:
    for table in ("notes", "run_tags", "tags", "runs", "experiments"):
        op.drop_table(table)
