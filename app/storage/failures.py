"""What each failure of Postgres means for us: one table by SQLSTATE, and the errors of ours that it becomes."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.errors import DatabasePoolerError, DatabaseReadOnlyError, DatabaseUnavailableError

# All that asyncpg raises. An InternalClientError comes when a server dies in the middle of an answer.
DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Meaning(Enum):
    """What to do after a failure. Every one but BUG is over at some time, so a retry helps."""

    UNDONE = "The transaction was undone. Its session is fine."
    BUSY = "The server cannot do this now. The session is fine."
    LOST = "The session is gone, and the others may be: open new ones."
    READ_ONLY = "The session leads to a server that cannot write: open new ones, which may lead elsewhere."
    REFUSED = "The server does not let us in."
    POOLED = "A transaction pooler has given us another session than the one we prepared our statement on."
    BUG = "The statement is wrong, and will be wrong again."


ENDS_SESSIONS = frozenset({Meaning.LOST, Meaning.READ_ONLY, Meaning.POOLED})
"""After these, no session is used again that is open now."""


# By code or by class, which is the code's first two characters; the code counts before its class.
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
    """What the SQLSTATE means; a bug unless the table says otherwise."""
    state = sqlstate or ""
    for length in (5, 3, 2):
        if state[:length] in _MEANINGS:
            return _MEANINGS[state[:length]]
    return Meaning.BUG


def meaning_of_error(error: BaseException | None) -> Meaning:
    """The same for an error of SQLAlchemy, of the driver or of the operating system."""
    translated = error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig else None
    if isinstance(translated or error, OSError | TimeoutError | asyncpg.InternalClientError):
        return Meaning.LOST
    if isinstance(error, PoolTimeoutError):
        return Meaning.BUSY
    driver_error: Any = error.orig if isinstance(error, DBAPIError) else error
    sqlstate: str | None = getattr(driver_error, "sqlstate", None)
    if sqlstate is not None:
        return meaning_of(sqlstate)
    # What the driver says of itself has no SQLSTATE: the connection is closed, or was used wrongly.
    is_lost = isinstance(error, asyncpg.InterfaceError | InterfaceError | OperationalError)
    return Meaning.LOST if is_lost or getattr(error, "connection_invalidated", False) else Meaning.BUG


@contextmanager
def failures_named() -> Iterator[None]:
    """Raise a DatabaseUnavailableError for a failure that a retry may help; a bug stays what it is."""
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
    """The name of the driver's error: it tells an operator a wrong password from a server that is away."""
    cause = error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig else None
    return type(cause or error).__name__
