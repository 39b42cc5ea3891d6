"""Reads the header `Retry-After`: seconds or an HTTP date. Source: RFC 9110 §10.2.3 (read 2026-11-23)."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_DIGITS_READ = 9


def read(value: str | None, *, now: datetime, longest: timedelta) -> timedelta | None:
    """Return the requested wait, from zero to `longest`. None if the header is absent or not valid."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        # Nine digits are over 30 years. A timedelta cannot hold much longer numbers.
        return min(timedelta(seconds=int(text.lstrip("0")[:_DIGITS_READ] or "0")), longest)
    try:
        moment = parsedate_to_datetime(text)
        wait = (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment) - now
    except (ValueError, TypeError, IndexError, OverflowError):  # what the parser raises on invalid dates
        return None
    return max(timedelta(0), min(wait, longest))
