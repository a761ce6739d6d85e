"""Runs migrations in the transaction that `migrate.upgrade` hands in, or writes their SQL for `migrate.upgrade_sql`."""

from __future__ import annotations

from alembic import context

from farshore_hub.store.schema import metadata

attributes = context.config.attributes
if context.is_offline_mode():
    context.configure(dialect_name=attributes["dialect"], literal_binds=True, target_metadata=metadata)
else:
    context.configure(connection=attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
