"""The Alembic revisions of the schema, one per file."""
