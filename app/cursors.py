"""Cursors: where to continue in a list, as text that is opaque to callers. Each list refuses the others' cursors."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar
from uuid import UUID

from app.errors import InvalidCursorError

Value = TypeVar("Value")

_GREATEST_POSITION = 2**63 - 1  # Postgres' bigint


@dataclass(frozen=True, kw_only=True)
class CursorKind(Generic[Value]):
    """The cursors of one list: `to_parts` turns a value into text, and `from_parts` turns it back.

    `from_parts` may raise ValueError, TypeError or OverflowError. Parts are printable and hold no line break.
    """

    name: str
    to_parts: Callable[[Value], tuple[str, ...]]
    from_parts: Callable[..., Value]

    def write(self, value: Value) -> str:
        """Return the cursor for callers. Its characters need no escaping in a URL."""
        parts = "\n".join((self.name, *self.to_parts(value)))
        return base64.urlsafe_b64encode(parts.encode()).decode().rstrip("=")

    def read(self, text: str) -> Value:
        """Return the value that `write` was given. Raises InvalidCursorError for any text that `write` cannot make."""
        try:
            padded = text + "=" * (-len(text) % 4)
            name, *parts = base64.b64decode(padded, altchars=b"-_", validate=True).decode().split("\n")
            value = self.from_parts(*parts)
            is_ours = name == self.name and all(map(str.isprintable, parts)) and self.write(value) == text
        except (ValueError, TypeError, OverflowError):
            raise InvalidCursorError from None
        if not is_ours:
            raise InvalidCursorError
        return value


def by_time(name: str) -> CursorKind[tuple[datetime, UUID]]:
    """Cursors of a list that is ordered by a time and then an id."""
    return CursorKind(
        name=name,
        to_parts=lambda value: (write_time(value[0]), value[1].hex),
        from_parts=lambda moment, id_: (datetime.fromisoformat(moment), UUID(id_)),
    )


def by_position(name: str) -> CursorKind[int]:
    """Cursors of a list that is ordered by positions in the feed."""
    return CursorKind(name=name, to_parts=lambda position: (str(position),), from_parts=read_position)


def write_time(moment: datetime) -> str:
    """An aware time as part of a cursor; `datetime.fromisoformat` reads it."""
    return moment.astimezone(UTC).isoformat()


def read_position(text: str) -> int:
    """A position that is part of a cursor. Raises ValueError."""
    position = int(text)
    if not 0 <= position <= _GREATEST_POSITION:
        raise ValueError(position)
    return position
