"""Runs the migrations in the transaction of the connection that `aimstore.metadata.schema` passes."""

from __future__ import annotations

from alembic import context

from aimstore.metadata.models import tables

connection = context.config.attributes["connection"]
# SQLite changes a table by copying it, which Alembic calls a batch.
context.configure(connection=connection, target_metadata=tables, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
