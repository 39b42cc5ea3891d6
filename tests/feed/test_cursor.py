from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import cursors
from app.errors import InvalidCursorError
from app.feed import cursor
from app.feed.cursor import Cursor

EPOCH = UUID("b3293101-35ef-451a-aad4-881da3697c2f")


def test_cursor_is_written_as_before() -> None:
    """Readers keep cursors for weeks: a later version must read what this version wrote."""
    text = str(Cursor(epoch=EPOCH, position=17))

    assert text == "ZmVlZApiMzI5MzEwMTM1ZWY0NTFhYWFkNDg4MWRhMzY5N2MyZgoxNw"
    assert cursor.parse(text) == Cursor(epoch=EPOCH, position=17)


@given(st.uuids(), st.integers(0, 2**63 - 1))
def test_every_cursor_is_read_back(epoch: UUID, position: int) -> None:
    """Any position in any feed survives."""
    written = Cursor(epoch=epoch, position=position)

    assert cursor.parse(str(written)) == written


@pytest.mark.parametrize(
    "text",
    ["", "latest", str(Cursor(epoch=EPOCH, position=2**63)), cursors.by_position("deliveries").write(17)],
    ids=ascii,
)
def test_what_is_no_cursor_of_the_feed_is_refused(text: str) -> None:
    """A position that Postgres' bigint cannot hold is refused, and so is a cursor of another list."""
    with pytest.raises(InvalidCursorError):
        cursor.parse(text)
