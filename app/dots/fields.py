"""Single values out of Dots' JSON, each checked: ids, short texts, times, flags; no whole objects here."""

import re
from datetime import UTC, datetime
from uuid import UUID

_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_OTHER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def read_id(value: object) -> str | None:
    """An id in the one spelling we keep: a UUID in lower case with hyphens, or `[A-Za-z0-9_-]{1,64}` as is."""
    if not isinstance(value, str):
        return None
    if _CANONICAL_UUID.fullmatch(value):  # Nearly every id is one, and parsing it would only give it back.
        return value
    if _UUID.fullmatch(value):
        return str(UUID(value))
    return value if _OTHER_ID.fullmatch(value) else None


def is_uuid(value: str | None) -> bool:
    """Whether an id is a UUID, in any spelling."""
    return value is not None and _UUID.fullmatch(value) is not None


def read_text(value: object, *, limit: int) -> str | None:
    """A text of 1 to `limit` printable characters: nothing that Postgres or a log line would choke on."""
    if isinstance(value, str) and 0 < len(value) <= limit and value.isprintable():
        return value
    return None


def read_time(value: object) -> datetime | None:
    """An ISO 8601 time as aware UTC; Dots leaves the zone out and means UTC."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter from an offset that leaves the years 1 to 9999
        return None


def read_flag(value: object) -> bool | None:
    """A real boolean; anything else, `0`, `"false"` and null too, means that Dots did not say."""
    return value if isinstance(value, bool) else None
