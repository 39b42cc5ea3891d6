"""Waits for the database when a process starts, or explains in one line why it cannot be used."""

import asyncio
import socket
import ssl
import time
from datetime import timedelta

import asyncpg
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import DatabasePoolerError, DatabaseReadOnlyError, DatabaseUnavailableError
from app.storage import database, database_url, migrations
from app.storage.database_url import DatabaseAddress
from app.storage.sessions import Session

log = structlog.get_logger()

RETRY_SECONDS = 0.5
LOG_SECONDS = 3.0

# Two open connections share a session only behind a transaction pooler. The pooler may alternate between sessions.
_PROBES = 3


async def require_ready(engine: AsyncEngine, url: str, *, wait: timedelta, needs_schema: bool = True) -> None:
    """Return once the database is writable and, with `needs_schema`, at this program's schema.

    Raises DatabaseUnavailableError after `wait`, or immediately if waiting does not help; SchemaVersionError,
    SchemaTakenError. The message is for an operator: it names the setting, host and port.
    """
    address = database_url.parse(url)
    began_at = time.monotonic()
    logged_at = -LOG_SECONDS
    while True:
        try:
            await _look(engine, url, needs_schema=needs_schema)
        except (DatabaseUnavailableError, DBAPIError) as error:
            reason, may_pass = explain(error, address)
            waited = time.monotonic() - began_at
            if not may_pass or waited >= wait.total_seconds():
                raise DatabaseUnavailableError(reason) from error
            if waited - logged_at >= LOG_SECONDS:
                logged_at = waited
                log.warning("waiting for the database", reason=reason, up_to_seconds=int(wait.total_seconds()))
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return


async def require_writable(connection: AsyncConnection) -> None:
    """Fail like a write if the server is read-only, so that sessions are replaced as after a failed write."""
    await connection.execute(_REQUIRE_WRITABLE)


async def session_of(connection: AsyncConnection) -> Session:
    """The session of this transaction."""
    session = (await connection.get_raw_connection()).driver_connection
    if not isinstance(session, Session):
        raise TypeError(type(session).__name__)
    return session


async def is_pooled(connection: AsyncConnection) -> bool:
    """Whether the connection leads through a pooler. A pooler reports an invented process id to its clients."""
    backend_pid: int = (await session_of(connection)).get_server_pid()
    server_pid: int = await connection.scalar(text("SELECT pg_backend_pid()"))
    return server_pid != backend_pid


async def _look(engine: AsyncEngine, url: str, *, needs_schema: bool) -> None:
    async with database.transaction(engine) as connection:
        await require_writable(connection)
        has_pooler = await is_pooled(connection)
        is_declared = (await session_of(connection)).has_transaction_pooler
        if needs_schema:
            migrations.require_current(await migrations.state(connection))
    if has_pooler and not is_declared and await shares_sessions(url):
        raise DatabasePoolerError


async def shares_sessions(url: str) -> bool:
    """Whether two open connections have shared a session of Postgres."""
    probe = database.create_engine(url, pool_size=2, pooler="transaction")
    try:
        with database.failures_named():
            async with probe.connect() as one:
                first = await _server_pid(one)
                async with probe.connect() as other:
                    for _ in range(_PROBES):
                        if await _server_pid(other) == first:
                            return True
                        first = await _server_pid(one)
        return False
    finally:
        await probe.dispose()


async def _server_pid(connection: AsyncConnection) -> int:
    """The process id that serves the connection. Ends the transaction, because the pooler may have only one session."""
    pid: int = await connection.scalar(text("SELECT pg_backend_pid()"))
    await connection.rollback()
    return pid


def explain(error: BaseException, address: DatabaseAddress) -> tuple[str, bool]:
    """One sentence for an operator about why the database cannot be used, and whether waiting may help."""
    where = ", ".join(f"{host}:{port}" for host, port in address.hosts)
    if isinstance(error, DatabasePoolerError):
        return error.detail, False
    if isinstance(error, DatabaseReadOnlyError):
        reason = "is read-only: it is a standby, or its default_transaction_read_only is on"
        return f"DATABASE_URL: the server at {where} {reason}.", True
    cause = _cause_of(error)
    reason, may_pass = _reason(cause, address)
    return f"DATABASE_URL: {reason.format(where=where)}", may_pass


def _cause_of(error: BaseException) -> BaseException:
    """The error of the driver or the operating system, below ours and SQLAlchemy's."""
    while True:
        below = error.orig if isinstance(error, DBAPIError) else None
        deeper = below or error.__cause__
        if deeper is None or isinstance(error, asyncpg.PostgresError | OSError):
            return error
        error = deeper


def _reason(cause: BaseException, address: DatabaseAddress) -> tuple[str, bool]:
    for kind, reason, may_pass in _REASONS:
        if isinstance(cause, kind):
            message = str(cause).splitlines()[0].removesuffix(".") if str(cause) else type(cause).__name__
            values = {"user": address.user, "database": address.database, "message": message}
            filled = reason
            for key, value in values.items():
                filled = filled.replace(f"<{key}>", value.replace("{", "{{").replace("}", "}}"))
            return filled, may_pass
    return f"the database at {{where}} is unavailable ({type(cause).__name__}).", True


# The first matching row counts. Messages of Postgres and of the system contain no secret.
_REASONS: tuple[tuple[type[BaseException], str, bool], ...] = (
    (asyncpg.InvalidPasswordError, "Postgres at {where} refuses the password of user <user>.", False),
    (asyncpg.InvalidAuthorizationSpecificationError, "Postgres at {where} refuses user <user>: <message>.", False),
    (asyncpg.InvalidCatalogNameError, "there is no database <database> at {where}.", False),
    (asyncpg.InsufficientPrivilegeError, "user <user> at {where} lacks a privilege: <message>.", False),
    (asyncpg.CannotConnectNowError, "Postgres at {where} is starting or stopping.", True),
    (asyncpg.TooManyConnectionsError, "Postgres at {where} has no free connection.", True),
    (asyncpg.ProtocolViolationError, "the server at {where} reports: <message>.", True),
    (ssl.SSLCertVerificationError, "the certificate of {where} does not verify: <message>; see sslrootcert.", False),
    (ssl.SSLError, "TLS with {where} fails: <message>.", False),
    (socket.gaierror, "the host of {where} is unknown.", True),
    (ConnectionRefusedError, "nothing listens at {where}.", True),
    (TimeoutError, "{where} does not answer.", True),
    (OSError, "no connection to {where}: <message>.", True),
)

# 25006 is the SQLSTATE read_only_sql_transaction.
_REQUIRE_WRITABLE = text("""
    DO $$ BEGIN
        IF current_setting('transaction_read_only') = 'on' THEN
            RAISE EXCEPTION 'the server is read-only' USING ERRCODE = '25006';
        END IF;
    END $$
""")
