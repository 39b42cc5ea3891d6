"""Databases that are shared with other programs, and roles with few privileges."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import SchemaRightsError, SchemaTakenError, SchemaVersionError
from app.storage import database, migrations
from tests.storage import stored

TABLES = "SELECT schemaname || '.' || tablename AS name FROM pg_tables WHERE tablename = ANY (:names) ORDER BY 1"


@pytest.fixture
async def empty(empty_database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine for a database without tables."""
    engine = database.create_engine(empty_database_url)
    yield engine
    await engine.dispose()


async def test_own_schema_is_created_and_used(empty: AsyncEngine, empty_database_url: str) -> None:
    """The service creates no tables in `public`. Two gateways in one database have separate tables."""
    names = ["One of ours", "two"]
    for name in names:
        await migrations.upgrade(empty_database_url, schema=name)
        engine = database.create_engine(empty_database_url, schema=name)
        await stored.execute(engine, "UPDATE feed SET epoch = gen_random_uuid()")
        await migrations.require_head(engine)
        await engine.dispose()

    found = [row["name"] for row in await stored.rows(empty, TABLES, names=["feed"])]
    assert found == [f"{name}.feed" for name in names]


async def test_schema_that_another_program_migrates_is_left_alone(empty: AsyncEngine, empty_database_url: str) -> None:
    """`migrate` and processes refuse the schema, and do not advise to migrate it."""
    await stored.execute(
        empty, "CREATE TABLE alembic_version (version_num text)", "INSERT INTO alembic_version VALUES ('1a2b3c')"
    )

    with pytest.raises(SchemaTakenError, match="DATABASE_SCHEMA"):
        await migrations.upgrade(empty_database_url)
    with pytest.raises(SchemaTakenError) as caught:
        await migrations.require_head(empty)

    assert "dots-gateway migrate" not in caught.value.detail
    assert [row["name"] for row in await stored.rows(empty, TABLES, names=["feed"])] == []


async def test_tables_of_another_program_with_other_names_are_no_obstacle(
    empty: AsyncEngine, empty_database_url: str
) -> None:
    """Only tables with the same names prevent a migration."""
    await stored.execute(empty, "CREATE TABLE orders ()")

    await migrations.upgrade(empty_database_url)

    await migrations.require_head(empty)


async def test_upgrade_of_a_newer_schema_says_so(engine: AsyncEngine, database_url: str) -> None:
    """An old version's `migrate` changes nothing and says that the schema is newer."""
    await stored.execute(engine, "UPDATE dots_gateway_version SET version_num = '9999'")

    with pytest.raises(SchemaVersionError, match="newer than this program"):
        await migrations.upgrade(database_url)


@pytest.mark.parametrize("schema", ["public", "ours"])
async def test_role_that_may_not_create_is_told_what_to_grant(
    empty: AsyncEngine, empty_database_url: str, schema: str
) -> None:
    """The role may not create tables in `public`, as since Postgres 15 by default, or may not create a schema."""
    role, name = f"visitor_{uuid4().hex[:8]}", urlsplit(empty_database_url).path[1:]
    await stored.execute(
        empty, f"CREATE ROLE {role} LOGIN PASSWORD 'visiting'", f"GRANT CONNECT ON DATABASE {name} TO {role}"
    )
    address = urlsplit(empty_database_url)
    url = address._replace(netloc=f"{role}:visiting@{address.hostname}:{address.port}").geturl()

    with pytest.raises(SchemaRightsError, match=f'GRANT USAGE, CREATE ON SCHEMA "{schema}"'):
        await migrations.upgrade(url, schema=schema)

    await stored.execute(empty, f"REVOKE ALL ON DATABASE {name} FROM {role}", f"DROP ROLE {role}")
