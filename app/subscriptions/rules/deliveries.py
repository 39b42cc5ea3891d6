"""A delivery, when to try it again, when to give it up, and when to leave a subscriber alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.backoff import BackoffSchedule
from app.feed.events import EventRecord

# The first attempt is made immediately; the attempt after the last wait is the last.
RETRIES = BackoffSchedule(
    waits=(
        timedelta(seconds=5),
        timedelta(minutes=5),
        timedelta(minutes=30),
        timedelta(hours=2),
        timedelta(hours=5),
        timedelta(hours=10),
        timedelta(hours=14),
        timedelta(hours=20),
        timedelta(hours=24),
    )
)

MOST_ATTEMPTS = len(RETRIES.waits) + 1

# The circuit breaker opens when so many of the latest attempts failed, and then lets one probe through at a time.
BREAKER_WINDOW = 20
_FEWEST_JUDGED = 10
_FAILED_SHARE = 0.7
BREAKER_PAUSE = timedelta(seconds=60)

# A subscriber that has answered nothing well for so long is sent nothing more until somebody resumes it.
PAUSED_AFTER = timedelta(days=5)

# A subscriber that asks for fewer requests (429) is sent none at all for as long as it asks, up to this.
LONGEST_HOLD = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """An event on its way to a subscription's `url`, after so many failed `attempts`."""

    subscription_id: UUID
    url: str
    event: EventRecord
    attempts: int


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try to send: the HTTP `status` (None: no answer), the code of what was wrong (None: delivered).

    `retry_after` is how long the subscriber wants to be left alone.
    """

    attempted_at: datetime
    status: int | None
    error: str | None
    took: timedelta
    retry_after: timedelta | None = None


def next_attempt_at(
    attempts: int, *, now: datetime, jitter: float, retry_after: timedelta | None = None
) -> datetime | None:
    """When to try again after `attempts` failures of one delivery (1 or more). None if it is given up.

    Never sooner than the subscriber `retry_after`.
    """
    if attempts >= MOST_ATTEMPTS:
        return None
    return now + RETRIES.wait(attempts, jitter=jitter, at_least=retry_after)


def is_broken(latest_failed: Sequence[bool]) -> bool:
    """Whether the breaker opens, from up to BREAKER_WINDOW latest attempts of a subscription (True: it failed)."""
    return len(latest_failed) >= _FEWEST_JUDGED and sum(latest_failed) >= _FAILED_SHARE * len(latest_failed)
