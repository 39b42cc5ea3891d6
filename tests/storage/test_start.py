"""What is said of a database that cannot be used; that processes wait and end so is shown in the journeys."""

import socket
import ssl
from datetime import timedelta
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import DatabasePoolerError, DatabaseReadOnlyError, DatabaseUnavailableError, SchemaVersionError
from app.storage import database, database_url, start
from tests.storage import stored

ADDRESS = database_url.parse("postgresql://shop:s3cret@db.example:5433/gateway")
WHERE = "db.example:5433"

# What it is, what an operator reads, and whether it may pass by itself.
REASONS = {
    "password": (asyncpg.InvalidPasswordError("no"), f"Postgres at {WHERE} refuses the password of user shop.", False),
    "pg_hba": (
        asyncpg.InvalidAuthorizationSpecificationError("no pg_hba.conf entry for host"),
        f"Postgres at {WHERE} refuses user shop: no pg_hba.conf entry for host.",
        False,
    ),
    "no database": (asyncpg.InvalidCatalogNameError("no"), f"there is no database gateway at {WHERE}.", False),
    "starting": (asyncpg.CannotConnectNowError("no"), f"Postgres at {WHERE} is starting or stopping.", True),
    "full": (asyncpg.TooManyConnectionsError("no"), f"Postgres at {WHERE} has no connection left for us.", True),
    "no right": (
        asyncpg.InsufficientPrivilegeError("permission denied for table feed"),
        f"user shop at {WHERE} lacks a right: permission denied for table feed.",
        False,
    ),
    "certificate": (
        ssl.SSLCertVerificationError(1, "self-signed certificate"),
        f"the certificate of {WHERE} does not verify: ",
        False,
    ),
    "unknown host": (socket.gaierror(-2, "Name or service not known"), f"the host of {WHERE} is unknown.", True),
    "nothing there": (ConnectionRefusedError(111, "refused"), f"nothing listens at {WHERE}.", True),
    "silence": (TimeoutError(), f"{WHERE} does not answer.", True),
    "braces": (OSError("{no}"), f"no connection to {WHERE}: {{no}}.", True),
}


@pytest.mark.parametrize(("error", "says", "may_pass"), REASONS.values(), ids=REASONS.keys())
def test_reason_names_the_setting_the_host_and_the_port(error: BaseException, says: str, may_pass: bool) -> None:  # noqa: FBT001  # a column of the table
    """One sentence an operator can act on, without the password; only what may pass is waited for."""
    ours = DatabaseUnavailableError()
    ours.__cause__ = error

    detail, passes = start.explain(ours, ADDRESS)

    assert detail.startswith(f"DATABASE_URL: {says}")
    assert "s3cret" not in detail
    assert passes is may_pass


def test_reason_is_found_below_sqlalchemy() -> None:
    """SQLAlchemy wraps the driver's error, and we wrap SQLAlchemy's."""
    translated = Exception("translated")
    translated.__cause__ = asyncpg.InvalidPasswordError("no")
    ours = DatabaseUnavailableError()
    ours.__cause__ = DBAPIError(None, None, translated)

    detail, _ = start.explain(ours, ADDRESS)

    assert "refuses the password of user shop" in detail


def test_read_only_server_may_become_writable_and_a_pooler_stays() -> None:
    """A standby may be promoted; a setting that is missing stays missing."""
    assert start.explain(DatabaseReadOnlyError(), ADDRESS)[1] is True
    assert start.explain(DatabasePoolerError(), ADDRESS) == (DatabasePoolerError().detail, False)


async def test_database_that_can_be_used_is_not_waited_for(engine: AsyncEngine, database_url: str) -> None:
    """Nothing is raised, and nothing is left behind."""
    await start.require_ready(engine, database_url, wait=timedelta())


async def test_database_that_can_only_be_read_is_not_ready(engine: AsyncEngine, database_url: str) -> None:
    """A process that starts beside a standby or a fenced server says what it has found."""
    address = urlsplit(database_url)
    await stored.execute(engine, f"ALTER DATABASE {address.path[1:]} SET default_transaction_read_only = on")
    fenced = database.create_engine(database_url)

    with pytest.raises(DatabaseUnavailableError, match=rf"{address.port} can only be read"):
        await start.require_ready(fenced, database_url, wait=timedelta())

    await fenced.dispose()


async def test_database_without_our_schema_is_not_waited_for(empty_database_url: str) -> None:
    """Nobody else will migrate it."""
    engine = database.create_engine(empty_database_url)

    with pytest.raises(SchemaVersionError, match="run `dots-gateway migrate`"):
        await start.require_ready(engine, empty_database_url, wait=timedelta(minutes=1))

    await engine.dispose()
