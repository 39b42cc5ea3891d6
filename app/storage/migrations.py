"""Bringing the database to this program's schema, and refusing to run on another one."""

import asyncio
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import SchemaVersionError
from app.storage import database


def _config(database_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(str(files("migrations")))))
    # Handed over as an attribute: in an option, a `%` in a password would be read as interpolation.
    config.attributes["database_url"] = database_url
    return config


async def upgrade(database_url: str, revision: str = "head") -> None:
    """Migrate the database up to `revision`. Two at once wait for each other.

    Raises SettingsError, DatabaseUnavailableError.
    """
    with database.failures_named():
        await asyncio.to_thread(command.upgrade, _config(database_url), revision)


async def downgrade(database_url: str, revision: str) -> None:
    """Migrate the database down to `revision`; data the older schema has no place for is gone."""
    await asyncio.to_thread(command.downgrade, _config(database_url), revision)


def head() -> str:
    """The revision this program was written for."""
    revision = ScriptDirectory.from_config(_config("")).get_current_head()
    if revision is None:
        raise SchemaVersionError("This installation contains no migrations.")
    return revision


async def current(engine: AsyncEngine) -> str | None:
    """The revision the database is at; None when it was never migrated. Raises DatabaseUnavailableError."""
    async with database.transaction(engine) as connection:
        if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
            return None
        revision: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version"))
        return revision


async def require_head(engine: AsyncEngine) -> None:
    """Raise SchemaVersionError unless the database is at this program's own revision."""
    found, wanted = await current(engine), head()
    if found != wanted:
        raise SchemaVersionError(
            f"The database is at schema {found or 'none'}, this program needs {wanted}: run `dots-gateway migrate`."
        )
