from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage import migrations
from app.storage.database import create_engine
from tests import databases
from tests.databases import Server

LEAVE_A_TABLE = "CREATE TABLE left_behind ()"
IS_A_TABLE_LEFT = "SELECT to_regclass('left_behind') IS NOT NULL"


async def test_engine_is_on_a_migrated_database(engine: AsyncEngine) -> None:
    """A test that asks for an engine finds the schema this program needs."""
    revision = await migrations.current(engine)

    assert revision == migrations.head()


async def test_each_test_has_a_database_of_its_own_first(engine: AsyncEngine) -> None:
    """What this test leaves behind is not there in the next, and the other way round."""
    await leave_a_table_behind(engine)


async def test_each_test_has_a_database_of_its_own_second(engine: AsyncEngine) -> None:
    """What the test before left behind is not here, in whichever order they run."""
    await leave_a_table_behind(engine)


async def leave_a_table_behind(engine: AsyncEngine) -> None:
    """Shows that the table is not there yet, and leaves it."""
    async with engine.begin() as connection:
        assert not await connection.scalar(text(IS_A_TABLE_LEFT))
        await connection.execute(text(LEAVE_A_TABLE))


async def test_empty_database_has_no_schema(empty_database_url: str) -> None:
    """Tests of the migrations begin with nothing at all."""
    engine = create_engine(empty_database_url)

    revision = await migrations.current(engine)

    await engine.dispose()
    assert revision is None


def test_server_itself_is_left_alone(database_server: Server, database_url: str) -> None:
    """The database that DATABASE_URL names is never the one that tests write to."""
    assert database_url != database_server.url
    assert f"test_{database_server.run}_" in database_url


def test_memory_is_used_where_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's few megabytes of it would be full in the middle of the tests."""
    monkeypatch.setattr(databases, "FREE_BYTES", 0)
    assert databases.fast_directory(tmp_path) == tmp_path

    monkeypatch.setattr(databases, "FREE_BYTES", 2**62)
    assert databases.fast_directory(tmp_path) is None


def test_nothing_is_put_into_memory_where_it_is_no_directory(tmp_path: Path) -> None:
    """Not every system has one."""
    assert databases.fast_directory(tmp_path / "missing") is None
