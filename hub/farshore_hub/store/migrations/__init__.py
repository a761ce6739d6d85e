"""Alembic's migrations. Numbered, never changed once released; together they give exactly `schema.metadata`."""
