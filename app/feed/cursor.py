"""The cursor of the feed."""

from dataclasses import dataclass
from uuid import UUID

from app import cursors
from app.cursors import CursorKind


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """The reader has read everything up to `position` in the feed of this epoch."""

    epoch: UUID
    position: int

    def __str__(self) -> str:
        return _KIND.write(self)


def parse(text: str) -> Cursor:
    """Parse what `str(cursor)` has written. Raises InvalidCursorError."""
    return _KIND.read(text)


_KIND = CursorKind(
    name="feed",
    to_parts=lambda cursor: (cursor.epoch.hex, str(cursor.position)),
    from_parts=lambda epoch, position: Cursor(epoch=UUID(epoch), position=cursors.read_position(position)),
)
