from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import cursors
from app.errors import InvalidCursorError
from app.feed import cursor
from app.feed.cursor import Cursor

EPOCH = UUID("b3293101-35ef-451a-aad4-881da3697c2f")


def test_written_form_is_stable() -> None:
    """Readers keep cursors for weeks, so a later version must read what this version wrote."""
    text = str(Cursor(epoch=EPOCH, position=17))

    assert text == "ZmVlZApiMzI5MzEwMTM1ZWY0NTFhYWFkNDg4MWRhMzY5N2MyZgoxNw"
    assert cursor.parse(text) == Cursor(epoch=EPOCH, position=17)


@given(st.uuids(), st.integers(0, 2**63 - 1))
def test_cursor_round_trips(epoch: UUID, position: int) -> None:
    """Every position of every epoch is parsed back."""
    written = Cursor(epoch=epoch, position=position)

    assert cursor.parse(str(written)) == written


@pytest.mark.parametrize(
    "text",
    ["", "latest", str(Cursor(epoch=EPOCH, position=2**63)), cursors.by_position("deliveries").write(17)],
    ids=ascii,
)
def test_other_text_is_refused(text: str) -> None:
    """A position that Postgres' bigint cannot hold is refused, and so is a cursor of another list."""
    with pytest.raises(InvalidCursorError):
        cursor.parse(text)
