"""Runs migrations online, over asyncpg, one at a time."""

import asyncio

from alembic import context
from sqlalchemy import Connection, text

from app.errors import SchemaTakenError
from app.storage import database, migrations
from app.storage.migrations import VERSION_TABLE
from migrations import tables

# An arbitrary number that no other lock in the database uses.
MIGRATION_LOCK = 7_300_001


def run(connection: Connection) -> None:
    """Migrate inside one transaction, so that a failed migration leaves nothing behind."""
    schema = context.config.attributes["schema"]
    context.configure(
        connection=connection, target_metadata=tables.METADATA, compare_server_default=True, version_table=VERSION_TABLE
    )
    with context.begin_transaction():
        # A concurrent `migrate` waits here. Waiting for a lock on a busy table fails after 5 s, because all other
        # statements on that table queue behind the request. Building an index on a large table may take any time.
        connection.execute(
            text("SELECT pg_advisory_xact_lock(:lock, hashtext(:schema))"), {"lock": MIGRATION_LOCK, "schema": schema}
        )
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        take_schema(connection, schema)
        context.run_migrations()


def take_schema(connection: Connection, schema: str) -> None:
    """Create the schema if it is missing. Raises SchemaTakenError if another program migrates it with Alembic."""
    if connection.scalar(text("SELECT current_schema()")) is None:
        preparer = connection.dialect.identifier_preparer
        connection.execute(text(f"CREATE SCHEMA {preparer.quote_identifier(schema)}"))
    found = connection.execute(
        text(f"SELECT to_regclass('{VERSION_TABLE}') AS ours, to_regclass('alembic_version') AS others")  # no input
    ).one()
    if found.ours is None and found.others is not None:
        raise SchemaTakenError(migrations.taken(schema))


async def run_online() -> None:
    """Connect, migrate, disconnect."""
    attributes = context.config.attributes
    engine = database.create_engine(
        attributes["database_url"],
        pool_size=1,
        schema=attributes["schema"],
        pooler=attributes["pooler"],
        command_timeout_seconds=None,
    )
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run)
            await connection.commit()
    finally:
        await engine.dispose()


asyncio.run(run_online())
