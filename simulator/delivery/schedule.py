"""The backoff schedule of webhook deliveries.

Source: https://docs.svix.com/retries, read 2026-11-23 through dots-api.md §5.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random

WAITS_SECONDS = (0, 5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600)
"""The wait before each attempt: none, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h; 27 h 35 min in total."""

JITTER = 0.2


def wait_seconds(
    attempt: int, *, random: Random, retry_after_seconds: float | None = None, speed: float = 1.0
) -> float | None:
    """How long to wait before attempt number `attempt` (the first is 1). None after the last attempt.

    `Retry-After` can only lengthen the wait. `speed` divides the whole wait, including `Retry-After`.
    """
    if attempt > len(WAITS_SECONDS):
        return None
    jittered = WAITS_SECONDS[attempt - 1] * random.uniform(1 - JITTER, 1 + JITTER)
    return max(jittered, retry_after_seconds or 0.0) / speed


def read_retry_after(value: str | None, *, now: datetime) -> float | None:
    """The wait in a `Retry-After` header, in seconds. None if it is neither a number nor a date."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())
