"""The explanation of an unusable database. The journeys show that processes wait for it and exit."""

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

# The error, the text for an operator, and whether waiting may help.
REASONS = {
    "password": (asyncpg.InvalidPasswordError("no"), f"Postgres at {WHERE} refuses the password of user shop.", False),
    "pg_hba": (
        asyncpg.InvalidAuthorizationSpecificationError("no pg_hba.conf entry for host"),
        f"Postgres at {WHERE} refuses user shop: no pg_hba.conf entry for host.",
        False,
    ),
    "no database": (asyncpg.InvalidCatalogNameError("no"), f"there is no database gateway at {WHERE}.", False),
    "starting": (asyncpg.CannotConnectNowError("no"), f"Postgres at {WHERE} is starting or stopping.", True),
    "full": (asyncpg.TooManyConnectionsError("no"), f"Postgres at {WHERE} has no free connection.", True),
    "no right": (
        asyncpg.InsufficientPrivilegeError("permission denied for table feed"),
        f"user shop at {WHERE} lacks a privilege: permission denied for table feed.",
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
    """One sentence that an operator can act on, without the password, and whether waiting may help."""
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


async def test_usable_database_is_ready_at_once(engine: AsyncEngine, database_url: str) -> None:
    """The check raises no error without any time to wait."""
    await start.require_ready(engine, database_url, wait=timedelta())


async def test_read_only_database_is_not_ready(engine: AsyncEngine, database_url: str) -> None:
    """A process that starts with a standby or a fenced server explains that the server is read-only."""
    address = urlsplit(database_url)
    await stored.execute(engine, f"ALTER DATABASE {address.path[1:]} SET default_transaction_read_only = on")
    fenced = database.create_engine(database_url)

    with pytest.raises(DatabaseUnavailableError, match=rf"{address.port} is read-only"):
        await start.require_ready(fenced, database_url, wait=timedelta())

    await fenced.dispose()


async def test_database_without_our_schema_is_not_waited_for(empty_database_url: str) -> None:
    """Waiting does not help, so the check fails immediately."""
    engine = database.create_engine(empty_database_url)

    with pytest.raises(SchemaVersionError, match="run `dots-gateway migrate`"):
        await start.require_ready(engine, empty_database_url, wait=timedelta(minutes=1))

    await engine.dispose()
