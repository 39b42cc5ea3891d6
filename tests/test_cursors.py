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
    """Parts as a cursor, whether or not any kind would write them."""
    return base64.urlsafe_b64encode("\n".join(parts).encode()).decode().rstrip("=")


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_time_and_id_are_read_back(moment: datetime, id_: UUID) -> None:
    """Every value survives, in characters that a URL takes as they are."""
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
    """A cursor that was copied to the wrong list is an error, not a wrong page."""
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
    # A time without a zone, one in another zone, and two that their zones put outside the calendar.
    encoded("flows", "2026-11-23T12:00:00", "0" * 32),
    encoded("flows", "2026-11-23T12:00:00+01:00", "0" * 32),
    encoded("flows", "0001-01-01T00:00:00+14:00", "0" * 32),
    encoded("flows", "9999-12-31T23:59:59-01:00", "0" * 32),
    # The same value spelled in another way.
    encoded("flows", NOON.isoformat(), str(UUID(int=0))),
    FLOWS.write((NOON, UUID(int=0))) + "=",
    " " + FLOWS.write((NOON, UUID(int=0))),
]


@pytest.mark.parametrize("text", BAD_TIMES, ids=ascii)
def test_what_is_no_time_and_id_is_refused(text: str) -> None:
    """Only what was written is read."""
    with pytest.raises(InvalidCursorError):
        FLOWS.read(text)


@pytest.mark.parametrize("position", ["-1", "+1", "01", " 1", "1.0", "\uff11", str(2**63), "9" * 5_000, "1\x00"])
def test_what_is_no_position_is_refused(position: str) -> None:
    """A position is a plain number that Postgres' bigint can hold."""
    with pytest.raises(InvalidCursorError):
        DELIVERIES.read(encoded("deliveries", position))


@pytest.mark.parametrize("part", ["a\x00b", "a\rb", "a\nb"])
def test_text_that_cannot_be_printed_is_refused(part: str) -> None:
    """Postgres' text cannot hold a NUL."""
    kind: CursorKind[str] = CursorKind(name="names", to_parts=lambda name: (name,), from_parts=str)

    assert kind.read(encoded("names", "a b")) == "a b"
    with pytest.raises(InvalidCursorError):
        kind.read(encoded("names", part))


@given(st.text() | st.text(alphabet="ABCabc019-_+/=", min_size=30, max_size=34) | st.binary().map(base64.b64encode))
def test_no_text_raises_anything_else(text: str | bytes) -> None:
    """Callers send what they like."""
    given_text = text if isinstance(text, str) else text.decode()
    for kind in (FLOWS, DELIVERIES):
        with contextlib.suppress(InvalidCursorError):
            kind.read(given_text)
