"""Runs migrations online, over asyncpg, one at a time."""

import asyncio

from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.storage import database, delivery_tables

# Any number will do as long as nothing else in the database uses it; the feed's lock is another.
MIGRATION_LOCK = 7_300_001


# One for all tables: those of where events are sent know the others.
METADATA = delivery_tables.deliveries.metadata


def run(connection: Connection) -> None:
    """Migrate inside one transaction, so that a failed migration leaves nothing behind."""
    context.configure(connection=connection, target_metadata=METADATA, compare_server_default=True)
    with context.begin_transaction():
        # A second `migrate` waits here; a lock on a busy table is given up after 5 s rather than queued before
        # everybody else's statements.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        context.run_migrations()


async def run_online() -> None:
    """Connect, migrate, disconnect."""
    url = database.parse_url(context.config.attributes["database_url"])
    engine = create_async_engine(url, poolclass=pool.NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run)
            await connection.commit()
    finally:
        await engine.dispose()


asyncio.run(run_online())
