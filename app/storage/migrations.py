"""Upgrades the database to this program's schema, and checks that the database is at it."""

import asyncio
import functools
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import SchemaRightsError, SchemaTakenError, SchemaVersionError
from app.storage import database, failures
from app.storage.database import DEFAULT_SCHEMA, Pooler

# Not `alembic_version`: another program may have that table in the same schema.
VERSION_TABLE = "dots_gateway_version"

_NO_RIGHT = "42501"  # insufficient_privilege
_NAME_TAKEN = ("42P07", "42710", "42P06")  # duplicate table, object, schema


@dataclass(frozen=True, kw_only=True)
class SchemaState:
    """The state of the schema. `name` is None if the schema does not exist, `revision` is None before `migrate`.

    `has_others` is true if the schema has tables, but was never migrated by this program.
    """

    name: str | None
    revision: str | None
    has_others: bool


async def upgrade(database_url: str, *, schema: str = DEFAULT_SCHEMA, pooler: Pooler = "none") -> None:
    """Migrate the database to this program's schema. Concurrent calls wait for each other.

    Raises SettingsError, DatabaseUnavailableError, SchemaVersionError (the schema is newer than this program),
    SchemaTakenError (the tables belong to another program), SchemaRightsError.
    """
    try:
        with failures.failures_named():
            await asyncio.to_thread(command.upgrade, _config(database_url, schema, pooler), "head")
    except CommandError as error:
        raise _newer() from error
    except DBAPIError as error:
        sqlstate = getattr(error.orig, "sqlstate", None)
        if sqlstate == _NO_RIGHT:
            raise SchemaRightsError(_rights_missing(schema)) from error
        if sqlstate in _NAME_TAKEN:
            raise SchemaTakenError(taken(schema)) from error
        raise


async def downgrade(database_url: str, revision: str) -> None:
    """Migrate the database down to `revision`. Data that the older schema cannot store is lost."""
    await asyncio.to_thread(command.downgrade, _config(database_url, DEFAULT_SCHEMA, "none"), revision)


@functools.cache
def head() -> str:
    """The revision that this program needs."""
    revision = ScriptDirectory.from_config(_config("", DEFAULT_SCHEMA, "none")).get_current_head()
    if revision is None:
        raise SchemaVersionError("This installation contains no migrations.")
    return revision


@functools.cache
def known() -> frozenset[str]:
    """Every revision that this program knows."""
    scripts = ScriptDirectory.from_config(_config("", DEFAULT_SCHEMA, "none"))
    return frozenset(script.revision for script in scripts.walk_revisions())


async def current(engine: AsyncEngine) -> str | None:
    """The revision of the database; None if it was never migrated. Raises DatabaseUnavailableError."""
    async with database.transaction(engine) as connection:
        return (await state(connection)).revision


async def state(connection: AsyncConnection) -> SchemaState:
    """Read the state of the schema."""
    row = (await connection.execute(_STATE)).one()
    revision = await connection.scalar(_REVISION) if row.is_ours else None
    return SchemaState(name=row.name, revision=revision, has_others=row.has_tables and not row.is_ours)


async def require_head(engine: AsyncEngine) -> None:
    """Raise SchemaVersionError or SchemaTakenError unless the database is at this program's revision."""
    async with database.transaction(engine) as connection:
        require_current(await state(connection))


def require_current(found: SchemaState) -> None:
    """Raise SchemaVersionError or SchemaTakenError unless the schema is at this program's revision."""
    if found.revision == head():
        return
    if found.has_others:
        raise SchemaTakenError(taken(found.name))
    if found.revision is not None and found.revision not in known():
        raise _newer(found.revision)
    raise SchemaVersionError(
        f"The database is at schema {found.revision or 'none'}, this program needs {head()}: "
        "run `dots-gateway migrate`."
    )


def _config(database_url: str, schema: str, pooler: Pooler) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(str(files("migrations")))))
    # Passed as attributes, because Alembic would interpolate a `%` of a password in an option.
    config.attributes.update(database_url=database_url, schema=schema, pooler=pooler)
    return config


def _newer(revision: str | None = None) -> SchemaVersionError:
    found = f"at schema {revision}, newer than" if revision else "newer than"
    return SchemaVersionError(
        f"The database is {found} this program, which knows schemas up to {head()}: "
        "run the dots-gateway that migrated it, or a later one."
    )


def taken(schema: str | None) -> str:
    """The error text for a schema with the tables of another program."""
    return (
        f"The schema {schema or 'named by DATABASE_SCHEMA'} holds the tables of another program: check DATABASE_URL, "
        "or set DATABASE_SCHEMA to a schema of dots-gateway's own."
    )


def _rights_missing(schema: str) -> str:
    grant = f'CREATE SCHEMA IF NOT EXISTS "{schema}"; GRANT USAGE, CREATE ON SCHEMA "{schema}" TO that role'
    return (
        f"The role of DATABASE_URL may not create tables in the schema {schema}: have an administrator run `{grant}`."
    )


_STATE = text(f"""
    SELECT current_schema() AS name,
        to_regclass('{VERSION_TABLE}') IS NOT NULL AS is_ours,
        EXISTS (
            SELECT FROM pg_class
            WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relkind IN ('r', 'p')
        ) AS has_tables
""")  # noqa: S608  # no input in it

_REVISION = text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608  # likewise
