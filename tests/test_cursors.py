import base64
import contextlib
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import cursors
from app.cursors import CursorKind
from app.errors import InvalidCursorError

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FLOWS, DELIVERIES = cursors.by_time("flows"), cursors.by_position("deliveries")


def encoded(*parts: str) -> str:
    """Encode any parts as a cursor."""
    return base64.urlsafe_b64encode("\n".join(parts).encode()).decode().rstrip("=")


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_time_and_id_are_read_back(moment: datetime, id_: UUID) -> None:
    """Every value survives, and its cursor needs no escaping in a URL."""
    text = FLOWS.write((moment, id_))

    assert FLOWS.read(text) == (moment, id_)
    assert text.replace("-", "").replace("_", "").isalnum()


@given(st.integers(0, 2**63 - 1))
def test_position_is_read_back(position: int) -> None:
    """Every position that Postgres' bigint can hold survives."""
    assert DELIVERIES.read(DELIVERIES.write(position)) == position


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (cursors.by_time("subscriptions"), FLOWS.write((NOON, UUID(int=1)))),
        (cursors.by_position("redelivery"), DELIVERIES.write(7)),
        (FLOWS, DELIVERIES.write(7)),
    ],
)
def test_cursor_of_another_list_is_refused(kind: CursorKind[Any], text: str) -> None:
    """A cursor used with the wrong list is an error. It never leads to a wrong page."""
    with pytest.raises(InvalidCursorError):
        kind.read(text)


BAD_TIMES = [
    "",
    "x",
    "é",
    "\ud800",
    "AAAA",
    encoded("flows"),
    encoded("flows", NOON.isoformat()),
    encoded("flows", NOON.isoformat(), "0" * 32, "more"),
    encoded("flows", NOON.isoformat(), "not a UUID"),
    encoded("flows", "noon", "0" * 32),
    # No zone, another zone, and two times whose zones put them outside the years 1 to 9999.
    encoded("flows", "2026-11-23T12:00:00", "0" * 32),
    encoded("flows", "2026-11-23T12:00:00+01:00", "0" * 32),
    encoded("flows", "0001-01-01T00:00:00+14:00", "0" * 32),
    encoded("flows", "9999-12-31T23:59:59-01:00", "0" * 32),
    # Other spellings of a valid value.
    encoded("flows", NOON.isoformat(), str(UUID(int=0))),
    FLOWS.write((NOON, UUID(int=0))) + "=",
    " " + FLOWS.write((NOON, UUID(int=0))),
]


@pytest.mark.parametrize("text", BAD_TIMES, ids=ascii)
def test_invalid_time_or_id_is_refused(text: str) -> None:
    """Only the exact text that `write` makes is accepted."""
    with pytest.raises(InvalidCursorError):
        FLOWS.read(text)


@pytest.mark.parametrize("position", ["-1", "+1", "01", " 1", "1.0", "\uff11", str(2**63), "9" * 5_000, "1\x00"])
def test_invalid_position_is_refused(position: str) -> None:
    """A position is a number without sign or zeros in front, and fits into Postgres' bigint."""
    with pytest.raises(InvalidCursorError):
        DELIVERIES.read(encoded("deliveries", position))


@pytest.mark.parametrize("part", ["a\x00b", "a\rb", "a\nb"])
def test_unprintable_text_is_refused(part: str) -> None:
    """Postgres' text cannot hold a NUL, for example."""
    kind: CursorKind[str] = CursorKind(name="names", to_parts=lambda name: (name,), from_parts=str)

    assert kind.read(encoded("names", "a b")) == "a b"
    with pytest.raises(InvalidCursorError):
        kind.read(encoded("names", part))


@given(st.text() | st.binary().map(base64.b64encode).map(bytes.decode))
def test_invalid_text_raises_no_other_error(text: str) -> None:
    """Callers may send any text."""
    for kind in (FLOWS, DELIVERIES):
        with contextlib.suppress(InvalidCursorError):
            kind.read(text)
