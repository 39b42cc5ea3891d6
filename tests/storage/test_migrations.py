import asyncio
import sys
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import DatabaseUnavailableError, SchemaTakenError, SchemaVersionError, SettingsError
from app.storage import migrations
from app.storage.database import create_engine
from migrations.tables import METADATA
from tests.storage import stored

# All objects that a migration can create.
OBJECTS = """
    SELECT c.relkind::text || ' ' || c.relname AS name FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'type ' || typname FROM pg_type
    WHERE typnamespace = 'public'::regnamespace AND typelem = 0 AND typrelid = 0
    ORDER BY 1
"""
DEADLINE_SECONDS = 30


def drift(connection: Connection) -> list[Any]:
    """The differences between the database and the tables in Python."""
    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "compare_server_default": True,
            "include_schemas": False,
            "version_table": migrations.VERSION_TABLE,
        },
    )
    return list(compare_metadata(context, METADATA))


async def test_migrated_database_has_no_drift(engine: AsyncEngine) -> None:
    """Migrations create the columns, types, defaults, indexes, unique constraints and comments of the tables."""
    async with engine.connect() as connection:
        assert await connection.run_sync(drift) == []


async def test_migrations_and_tables_give_the_same_definitions(engine: AsyncEngine, empty_database_url: str) -> None:
    """Checks, names of constraints and conditions of indexes are equal too. Alembic does not compare them."""
    created = create_engine(empty_database_url)
    async with created.begin() as connection:
        await connection.run_sync(METADATA.create_all)

    definitions = [await _definitions(each) for each in (engine, created)]

    await created.dispose()
    assert definitions[0] == definitions[1]
    assert len(definitions[0]) > 30


async def _definitions(engine: AsyncEngine) -> list[str]:
    statement = """
        SELECT conrelid::regclass::text || ': ' || conname || ' ' || pg_get_constraintdef(oid) AS line
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'dots_gateway%'
          AND contype <> 'n'
        UNION ALL
        SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE 'dots_gateway%'
        UNION ALL
        SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' '
               || COALESCE(column_default, '') || ' ' || is_identity
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'dots_gateway_version'
        ORDER BY 1
    """
    return [row["line"] for row in await stored.rows(engine, statement)]


def test_every_constraint_has_a_name() -> None:
    """A later migration cannot drop a constraint without a name."""
    names = [constraint.name for table in METADATA.sorted_tables for constraint in table.constraints]

    assert None not in names


async def test_feed_has_its_one_row(engine: AsyncEngine) -> None:
    """The migration creates the feed's row with a random epoch."""
    feed = await stored.row(engine, "SELECT * FROM feed")

    assert feed.pop("epoch").version == 4
    assert feed == {"is_singleton": True, "expired_position": 0}


async def test_downgrade_leaves_nothing(empty_database_url: str) -> None:
    """After a downgrade only Alembic's own table and index are left. A new upgrade works."""
    await migrations.upgrade(empty_database_url)
    await migrations.downgrade(empty_database_url, "base")
    engine = create_engine(empty_database_url)
    left = [row["name"] for row in await stored.rows(engine, OBJECTS)]
    await migrations.upgrade(empty_database_url)
    revision = await migrations.current(engine)
    await engine.dispose()

    assert left == ["i dots_gateway_version_pkc", "r dots_gateway_version"]
    assert revision == migrations.head()


async def test_two_upgrades_at_once_are_one(empty_database_url: str) -> None:
    """Two containers that start together migrate once, and neither fails."""
    upgrade = "import asyncio, sys; from app.storage import migrations; asyncio.run(migrations.upgrade(sys.argv[1]))"
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", upgrade, empty_database_url) for _ in range(2)
    ]
    async with asyncio.timeout(DEADLINE_SECONDS):
        statuses = [await process.wait() for process in processes]

    engine = create_engine(empty_database_url)
    revision = await migrations.current(engine)
    feeds = await stored.count(engine, "feed")
    await engine.dispose()
    assert statuses == [0, 0]
    assert revision == migrations.head()
    assert feeds == 1


async def test_upgrade_of_a_current_database_changes_nothing(database_url: str, engine: AsyncEngine) -> None:
    """`migrate` may be run at every start."""
    epoch = await stored.row(engine, "SELECT epoch FROM feed")

    await migrations.upgrade(database_url)

    assert await stored.row(engine, "SELECT epoch FROM feed") == epoch


async def test_empty_database_is_refused_with_advice(empty_database_url: str) -> None:
    """The error names the command that migrates the database."""
    engine = create_engine(empty_database_url)

    with pytest.raises(SchemaVersionError) as caught:
        await migrations.require_head(engine)

    await engine.dispose()
    head = migrations.head()
    assert caught.value.detail == (
        f"The database is at schema none, this program needs {head}: run `dots-gateway migrate`."
    )


async def test_newer_database_is_refused(engine: AsyncEngine) -> None:
    """An old program refuses a schema that it does not know."""
    await stored.execute(engine, "UPDATE dots_gateway_version SET version_num = '9999'")

    with pytest.raises(SchemaVersionError, match="at schema 9999, newer than this program") as caught:
        await migrations.require_head(engine)

    assert "migrate`" not in caught.value.detail


async def test_migration_that_fails_leaves_nothing(empty_database_url: str) -> None:
    """A migration is one transaction, so a conflict with an existing table undoes all of it."""
    engine = create_engine(empty_database_url)
    await stored.execute(engine, "CREATE TABLE flow_steps ()")

    with pytest.raises(SchemaTakenError, match="DATABASE_SCHEMA"):
        await migrations.upgrade(empty_database_url)

    names = [row["name"] for row in await stored.rows(engine, OBJECTS)]
    await engine.dispose()
    assert names == ["r flow_steps"]


async def test_upgrade_without_a_server_is_unavailable(unused_tcp_port: int) -> None:
    """The error is DatabaseUnavailableError, not an internal one."""
    with pytest.raises(DatabaseUnavailableError):
        await migrations.upgrade(f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/none")


async def test_password_with_percent_signs_works(database_url: str) -> None:
    """Alembic does not interpolate a `%` in a password."""
    await migrations.upgrade(database_url.replace("postgres@", "postgres:100%25@"))

    engine = create_engine(database_url)
    async with engine.connect() as connection:
        answer = await connection.scalar(text("SELECT 1"))
    await engine.dispose()
    assert answer == 1


@pytest.mark.parametrize("url", ["", "mysql://localhost/x"])
async def test_malformed_url_is_a_settings_error(url: str) -> None:
    """The error names the setting and does not quote the URL."""
    with pytest.raises(SettingsError, match="DATABASE_URL") as caught:
        await migrations.upgrade(url)

    assert "localhost" not in caught.value.detail
