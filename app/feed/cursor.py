"""Cursors: a place in the feed, opaque to readers."""

import base64
import binascii
import struct
from dataclasses import dataclass
from uuid import UUID

from app.errors import InvalidCursorError

_LAYOUT = struct.Struct(">16sQ")
_TEXT_LENGTH = 32
_GREATEST_POSITION = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """Everything up to `position` has been read, in the feed of this epoch."""

    epoch: UUID
    position: int

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(_LAYOUT.pack(self.epoch.bytes, self.position)).decode()


def parse(text: str) -> Cursor:
    """The cursor that `str(cursor)` has written. Raises InvalidCursorError."""
    try:
        if len(text) != _TEXT_LENGTH:
            raise InvalidCursorError
        epoch, position = _LAYOUT.unpack(base64.b64decode(text, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, struct.error):
        raise InvalidCursorError from None
    if position > _GREATEST_POSITION:
        raise InvalidCursorError
    return Cursor(epoch=UUID(bytes=epoch), position=position)
