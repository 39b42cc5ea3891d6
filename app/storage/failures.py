"""The meaning of each failure of Postgres: a table by SQLSTATE, and the conversion to our errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.errors import DatabasePoolerError, DatabaseReadOnlyError, DatabaseUnavailableError

# All errors of asyncpg. It raises InternalClientError if the server dies in the middle of an answer.
DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Meaning(Enum):
    """The reaction to a failure. All but BUG are temporary, so a retry helps."""

    UNDONE = "The transaction was rolled back. Its session is usable."
    BUSY = "The server cannot do this now. The session is usable."
    LOST = "The session is lost, and others may be too. Open new ones."
    READ_ONLY = "The server is read-only. Open new sessions, which may reach another server."
    REFUSED = "The server refuses the connection."
    POOLED = "A transaction pooler has switched sessions, so a prepared statement is missing."
    BUG = "The statement is wrong. A retry does not help."


ENDS_SESSIONS = frozenset({Meaning.LOST, Meaning.READ_ONLY, Meaning.POOLED})
"""After these failures, no session that is open now is used again."""


# By code or by the first characters of a code. The longest match counts.
# Source: https://www.postgresql.org/docs/18/errcodes-appendix.html, read 2026-11-27.
_MEANINGS = {
    "08": Meaning.LOST,  # connection exception; PgBouncer's own errors come as 08P01
    "25006": Meaning.READ_ONLY,  # read_only_sql_transaction
    "25P03": Meaning.LOST,  # idle_in_transaction_session_timeout ends the session
    "25P04": Meaning.LOST,  # so does transaction_timeout
    "26000": Meaning.POOLED,  # invalid_sql_statement_name: prepared on another session
    "28": Meaning.REFUSED,  # invalid authorization; a password may be being rotated
    "3D000": Meaning.REFUSED,  # no such database; it may be being restored
    "40": Meaning.UNDONE,  # transaction rollback: serialization failure, deadlock, integrity constraint
    "40003": Meaning.LOST,  # statement_completion_unknown: the connection broke at the commit
    "42P05": Meaning.POOLED,  # duplicate_prepared_statement: another client has prepared it on this session
    "53": Meaning.BUSY,  # insufficient resources: disk, memory, connections, a limit that is set
    "55006": Meaning.BUSY,  # object_in_use
    "55P03": Meaning.BUSY,  # lock_not_available: lock_timeout
    "57": Meaning.BUSY,  # operator intervention; 57014: statement_timeout, or cancelled by an operator
    "57P": Meaning.LOST,  # shutdown, crash, starting up, database dropped, idle_session_timeout
    "58": Meaning.BUSY,  # system error outside of Postgres: I/O error, a file that is missing
}


def meaning_of(sqlstate: str | None) -> Meaning:
    """The meaning of the SQLSTATE; BUG if it is not in the table."""
    state = sqlstate or ""
    for length in (5, 3, 2):
        if state[:length] in _MEANINGS:
            return _MEANINGS[state[:length]]
    return Meaning.BUG


def meaning_of_error(error: BaseException | None) -> Meaning:
    """The meaning of an error of SQLAlchemy, the driver or the operating system."""
    translated = error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig else None
    if isinstance(translated or error, OSError | TimeoutError | asyncpg.InternalClientError):
        return Meaning.LOST
    if isinstance(error, PoolTimeoutError):
        return Meaning.BUSY
    driver_error: Any = error.orig if isinstance(error, DBAPIError) else error
    sqlstate: str | None = getattr(driver_error, "sqlstate", None)
    if sqlstate is not None:
        return meaning_of(sqlstate)
    # The driver's own errors have no SQLSTATE: the connection is closed, or it was used incorrectly.
    is_lost = isinstance(error, asyncpg.InterfaceError | InterfaceError | OperationalError)
    return Meaning.LOST if is_lost or getattr(error, "connection_invalidated", False) else Meaning.BUG


@contextmanager
def failures_named() -> Iterator[None]:
    """Convert failures that a retry may help to DatabaseUnavailableError. Other errors propagate unchanged."""
    try:
        yield
    except (OSError, TimeoutError, PoolTimeoutError, DBAPIError, *DRIVER_ERRORS) as error:
        meaning = meaning_of_error(error)
        if meaning is Meaning.BUG:
            raise
        if meaning is Meaning.READ_ONLY:
            raise DatabaseReadOnlyError from error
        if meaning is Meaning.POOLED:
            raise DatabasePoolerError from error
        raise DatabaseUnavailableError(f"{DatabaseUnavailableError.__doc__} ({_name_of(error)})") from error


def _name_of(error: BaseException) -> str:
    """The name of the driver's error, so that an operator can tell a wrong password from an unreachable server."""
    cause = error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig else None
    return type(cause or error).__name__
