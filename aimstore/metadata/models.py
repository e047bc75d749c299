"""The tables of the metadata database, as SQLAlchemy Core tables.

They are Core tables and not mapped classes, because no method needs an identity map, and `sqlalchemy.orm` adds 45 ms to
the start of a process. Times are int64 microseconds since the epoch, UTC, so that every database stores them exactly.
A change here needs a migration in `migrations/versions` and a new `HEAD` in `schema.py`; a test compares the two.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

NAME_LENGTH: Final = 512
"""Maximum length of the name of an experiment or tag, in characters; some databases cannot index longer text."""

_NAME = String(NAME_LENGTH).with_variant(String(NAME_LENGTH, collation="utf8mb4_bin"), "mysql", "mariadb")
"""MySQL would otherwise treat names that differ only in case as equal."""

tables = MetaData()

experiments = Table(
    "experiments",
    tables,
    Column("id", Integer, primary_key=True),
    Column("name", _NAME, nullable=False, unique=True),
    Column("description", Text),
    Column("archived", Boolean, nullable=False),
)

runs = Table(
    "runs",
    tables,
    Column("hash", String(24), primary_key=True),
    Column("name", Text),
    Column("description", Text),
    Column("experiment_id", Integer, ForeignKey("experiments.id")),
    Column("archived", Boolean, nullable=False),
    Column("created_at", BigInteger),
    Column("finalized_at", BigInteger),
    Index("ix_runs_experiment_id", "experiment_id"),
    Index("ix_runs_archived", "archived"),
    Index("ix_runs_created_at", "created_at"),
)

tags = Table(
    "tags",
    tables,
    Column("id", Integer, primary_key=True),
    Column("name", _NAME, nullable=False, unique=True),
    Column("color", String(64)),
    Column("description", Text),
    Column("archived", Boolean, nullable=False),
)

run_tags = Table(
    "run_tags",
    tables,
    Column("run", String(24), ForeignKey("runs.hash"), nullable=False),
    Column("tag_id", Integer, ForeignKey("tags.id"), nullable=False),
    PrimaryKeyConstraint("run", "tag_id"),
    Index("ix_run_tags_tag_id", "tag_id"),
    sqlite_with_rowid=False,
)

notes = Table(
    "notes",
    tables,
    Column("id", Integer, primary_key=True),
    Column("run", String(24), ForeignKey("runs.hash"), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_notes_run", "run"),
    sqlite_autoincrement=True,  # the id of a deleted note is never reused
)

alembic_version = Table(
    "alembic_version",
    MetaData(),  # Alembic's own table, so it is not compared with the migrations
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
