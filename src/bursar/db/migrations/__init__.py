"""Alembic revisions, each a thin wrapper around files in `sql/`."""
