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

# Everything that a migration can leave behind.
OBJECTS = """
    SELECT c.relkind::text || ' ' || c.relname AS name FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'type ' || typname FROM pg_type
    WHERE typnamespace = 'public'::regnamespace AND typelem = 0 AND typrelid = 0
    ORDER BY 1
"""
DEADLINE_SECONDS = 30


def drift(connection: Connection) -> list[Any]:
    """What would have to be migrated to arrive at the tables."""
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
    """Migrations end where the tables are: columns, types, defaults, indexes, unique constraints, comments."""
    async with engine.connect() as connection:
        assert await connection.run_sync(drift) == []


async def test_migrated_database_is_what_the_tables_would_create(engine: AsyncEngine, empty_database_url: str) -> None:
    """What Alembic does not compare, such as checks, names of constraints and conditions of indexes, is equal too."""
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


def test_every_constraint_has_a_name_of_ours() -> None:
    """A constraint without a name cannot be dropped by a later migration."""
    names = [constraint.name for table in METADATA.sorted_tables for constraint in table.constraints]

    assert None not in names


async def test_feed_has_its_one_row(engine: AsyncEngine) -> None:
    """The feed is there from the start, with an epoch of its own and nothing in it."""
    feed = await stored.row(engine, "SELECT * FROM feed")

    assert feed.pop("epoch").version == 4
    assert feed == {"is_singleton": True, "expired_position": 0}


async def test_downgrade_leaves_nothing(empty_database_url: str) -> None:
    """Down to the base there is no table, index, sequence or type left but Alembic's own; and up again works."""
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
    """Two containers that start together migrate once; neither fails."""
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


async def test_current_database_passes(engine: AsyncEngine) -> None:
    """At this program's own revision there is nothing to say."""
    await migrations.require_head(engine)

    assert await migrations.current(engine) == migrations.head()


async def test_empty_database_is_refused_with_what_to_do(empty_database_url: str) -> None:
    """Who forgot to migrate is told so."""
    engine = create_engine(empty_database_url)

    with pytest.raises(SchemaVersionError) as caught:
        await migrations.require_head(engine)

    await engine.dispose()
    head = migrations.head()
    assert caught.value.detail == (
        f"The database is at schema none, this program needs {head}: run `dots-gateway migrate`."
    )


async def test_newer_database_is_refused(engine: AsyncEngine) -> None:
    """An old program does not touch a schema it does not know."""
    await stored.execute(engine, "UPDATE dots_gateway_version SET version_num = '9999'")

    with pytest.raises(SchemaVersionError, match="at schema 9999, newer than this program") as caught:
        await migrations.require_head(engine)

    assert "migrate`" not in caught.value.detail


async def test_migration_that_fails_leaves_nothing(empty_database_url: str) -> None:
    """One transaction: a table in the way of the last one means that the first ones are not there either."""
    engine = create_engine(empty_database_url)
    await stored.execute(engine, "CREATE TABLE flow_steps ()")

    with pytest.raises(SchemaTakenError, match="DATABASE_SCHEMA"):
        await migrations.upgrade(empty_database_url)

    names = [row["name"] for row in await stored.rows(engine, OBJECTS)]
    await engine.dispose()
    assert names == ["r flow_steps"]


async def test_upgrade_without_a_server_is_named(unused_tcp_port: int) -> None:
    """No server is the operator's problem to solve, and is told as such."""
    with pytest.raises(DatabaseUnavailableError):
        await migrations.upgrade(f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/none")


async def test_password_with_percent_signs_is_taken(database_url: str) -> None:
    """A `%` in a password is no interpolation."""
    await migrations.upgrade(database_url.replace("postgres@", "postgres:100%25@"))

    engine = create_engine(database_url)
    async with engine.connect() as connection:
        answer = await connection.scalar(text("SELECT 1"))
    await engine.dispose()
    assert answer == 1


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://localhost/x", "postgresql+psycopg://localhost/x", "sqlite://", "://", "http://x"]
)
async def test_malformed_url_is_a_settings_error(url: str) -> None:
    """What is no Postgres URL is refused by name, and not quoted."""
    with pytest.raises(SettingsError, match="DATABASE_URL") as caught:
        await migrations.upgrade(url)

    assert "localhost" not in caught.value.detail
