"""Checks single values from Dots' JSON: ids, short texts, times, flags. Does not read whole objects."""

import re
from datetime import UTC, datetime
from uuid import UUID

_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_OTHER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def read_id(value: object) -> str | None:
    """Return an id in its canonical spelling: a UUID in lower case with hyphens, or `[A-Za-z0-9_-]{1,64}` unchanged."""
    if not isinstance(value, str):
        return None
    if _CANONICAL_UUID.fullmatch(value):  # Nearly all ids are canonical, so this saves parsing them.
        return value
    if _UUID.fullmatch(value):
        return str(UUID(value))
    return value if _OTHER_ID.fullmatch(value) else None


def is_uuid(value: str | None) -> bool:
    """Whether an id is a UUID, in any spelling."""
    return value is not None and _UUID.fullmatch(value) is not None


def read_text(value: object, *, limit: int) -> str | None:
    """Return a text of 1 to `limit` printable characters, which Postgres and log lines can hold. Else None."""
    if isinstance(value, str) and 0 < len(value) <= limit and value.isprintable():
        return value
    return None


def read_time(value: object) -> datetime | None:
    """Return an ISO 8601 time as aware UTC. Dots leaves the zone out and means UTC."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):  # OverflowError: the offset moves the time out of the years 1 to 9999.
        return None


def read_flag(value: object) -> bool | None:
    """Return a boolean. Any other value, including `0`, `"false"` and null, counts as not given: None."""
    return value if isinstance(value, bool) else None
