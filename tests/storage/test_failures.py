"""The meaning of each failure of Postgres. `test_sessions` shows the reactions to them."""

import inspect

import asyncpg
import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.storage import failures
from app.storage.failures import Meaning

DECIDED = ("08", "25006", "40", "53", "57P", "58")
# Every SQLSTATE of these classes that the driver knows.
STATES = sorted(
    state
    for _, kind in inspect.getmembers(asyncpg.exceptions, inspect.isclass)
    if (state := getattr(kind, "sqlstate", None) or "").startswith(DECIDED)
)

MEANINGS = {
    "08000": Meaning.LOST,
    "08P01": Meaning.LOST,
    "25001": Meaning.BUG,
    "25006": Meaning.READ_ONLY,
    "25P03": Meaning.LOST,
    "26000": Meaning.POOLED,
    "28P01": Meaning.REFUSED,
    "3D000": Meaning.REFUSED,
    "3F000": Meaning.BUG,
    "40001": Meaning.UNDONE,
    "40003": Meaning.LOST,
    "40P01": Meaning.UNDONE,
    "42P05": Meaning.POOLED,
    "42P01": Meaning.BUG,
    "53300": Meaning.BUSY,
    "55P03": Meaning.BUSY,
    "55000": Meaning.BUG,
    "57014": Meaning.BUSY,
    "57P01": Meaning.LOST,
    "57P05": Meaning.LOST,
    "58030": Meaning.BUSY,
    "23505": Meaning.BUG,
    "XX000": Meaning.BUG,
    "": Meaning.BUG,
    None: Meaning.BUG,
}


@pytest.mark.parametrize("sqlstate", STATES)
def test_failure_of_the_server_is_never_taken_for_a_bug(sqlstate: str) -> None:
    """Errors about the state of the server, rather than a statement, all have a meaning."""
    assert failures.meaning_of(sqlstate) is not Meaning.BUG


@pytest.mark.parametrize(("sqlstate", "expected"), MEANINGS.items())
def test_code_has_its_meaning(sqlstate: str | None, expected: Meaning) -> None:
    """The meaning of a code overrides that of its class."""
    assert failures.meaning_of(sqlstate) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(), Meaning.LOST),
        (ConnectionResetError(), Meaning.LOST),
        (TimeoutError(), Meaning.LOST),
        (PoolTimeoutError(), Meaning.BUSY),
        (asyncpg.InternalClientError(), Meaning.LOST),
        (asyncpg.InterfaceError("connection is closed"), Meaning.LOST),
        (asyncpg.TooManyConnectionsError(), Meaning.BUSY),
        (asyncpg.AdminShutdownError(), Meaning.LOST),
        (LookupError(), Meaning.BUG),
        (None, Meaning.BUG),
    ],
)
def test_error_without_a_code_has_a_meaning(error: BaseException | None, expected: Meaning) -> None:
    """Errors of the operating system and of the pool have no SQLSTATE."""
    assert failures.meaning_of_error(error) is expected
