"""Deliveries and attempts, the retry schedule, and the circuit breaker."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.backoff import BackoffSchedule
from app.feed.events import EventRecord

# The first attempt is immediate. The attempt after the last wait is the last.
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

# The circuit breaker opens when this share of the latest attempts failed. Then it allows one probe at a time.
BREAKER_WINDOW = 20
_FEWEST_JUDGED = 10
_FAILED_SHARE = 0.7
BREAKER_PAUSE = timedelta(seconds=60)

# A subscription is paused after this time without a success, until it is resumed.
PAUSED_AFTER = timedelta(days=5)

# A 429 with Retry-After holds the whole subscription for that time, up to this limit.
LONGEST_HOLD = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """An event to send to a subscription's `url`. `attempts` have failed so far."""

    subscription_id: UUID
    url: str
    event: EventRecord
    attempts: int


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt to send: the HTTP `status` (None: no answer) and the `error` code (None: delivered).

    `retry_after` is the wait that the subscriber requested.
    """

    attempted_at: datetime
    status: int | None
    error: str | None
    took: timedelta
    retry_after: timedelta | None = None


def next_attempt_at(
    attempts: int, *, now: datetime, jitter: float, retry_after: timedelta | None = None
) -> datetime | None:
    """The time of the next attempt after `attempts` failures (1 or more). None if the delivery is given up.

    The wait is at least `retry_after`.
    """
    if attempts >= MOST_ATTEMPTS:
        return None
    return now + RETRIES.wait(attempts, jitter=jitter, at_least=retry_after)


def is_broken(latest_failed: Sequence[bool]) -> bool:
    """Whether the breaker opens, given up to BREAKER_WINDOW latest attempts (True: failed)."""
    return len(latest_failed) >= _FEWEST_JUDGED and sum(latest_failed) >= _FAILED_SHARE * len(latest_failed)
