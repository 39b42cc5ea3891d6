import base64
import contextlib
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidCursorError
from app.feed import cursor
from app.feed.cursor import Cursor

EPOCH = UUID("b3293101-35ef-451a-aad4-881da3697c2f")


def test_cursor_is_written_as_before() -> None:
    """Readers keep cursors for weeks: the spelling of today has to be read tomorrow."""
    text = str(Cursor(epoch=EPOCH, position=17))

    assert text == "sykxATXvRRqq1Igdo2l8LwAAAAAAAAAR"
    assert cursor.parse(text) == Cursor(epoch=EPOCH, position=17)


@given(st.uuids(), st.integers(0, 2**63 - 1))
def test_every_cursor_is_read_back(epoch: UUID, position: int) -> None:
    """Any place in any feed survives being written, in characters that a URL takes as they are."""
    written = Cursor(epoch=epoch, position=position)

    assert cursor.parse(str(written)) == written
    assert str(written).replace("-", "").replace("_", "").isalnum()


BAD = [
    "",
    "A" * 31,
    "A" * 33,
    "A" * 31 + "=",
    "!" * 32,
    "sykxATXvRRqq1Igdo2l8LwAAAAAAAAA ",
    "sykxATXvRRqq1Igdo2l8LwAAAAAAAAA\n",
    "é" * 32,
    "\ud800" * 32,
    # A position that Postgres' bigint cannot hold.
    base64.urlsafe_b64encode(EPOCH.bytes + b"\x80" + bytes(7)).decode(),
]


@pytest.mark.parametrize("text", BAD, ids=ascii)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    """Anything else is refused, as what it is."""
    with pytest.raises(InvalidCursorError):
        cursor.parse(text)


@given(st.text() | st.text(alphabet="ABCabc019-_+/=", min_size=30, max_size=34))
def test_no_text_raises_anything_else(text: str) -> None:
    """Readers send what they like."""
    with contextlib.suppress(InvalidCursorError):
        assert 0 <= cursor.parse(text).position < 2**63
