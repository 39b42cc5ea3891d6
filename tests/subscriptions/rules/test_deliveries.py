from datetime import UTC, datetime, timedelta

import pytest

from app.subscriptions.rules import deliveries

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(1, 5), (2, 300), (3, 1800), (4, 7200), (5, 18000), (6, 36000), (7, 50400), (8, 72000), (9, 86400)],
)
def test_waits_follow_the_schedule(attempts: int, seconds: int) -> None:
    """The waits are those of Standard Webhooks, at the middle of the jitter."""
    assert deliveries.next_attempt_at(attempts, now=NOW, jitter=0.5) == NOW + timedelta(seconds=seconds)


def test_tenth_failure_is_the_last() -> None:
    """A delivery is given up after ten attempts."""
    assert deliveries.next_attempt_at(10, now=NOW, jitter=0.5) is None


def test_wait_has_jitter_and_respects_retry_after() -> None:
    """Jitter spreads retries, and no retry comes before Retry-After."""
    retry_after = timedelta(minutes=10)

    assert deliveries.next_attempt_at(2, now=NOW, jitter=0) == NOW + timedelta(minutes=4)
    assert deliveries.next_attempt_at(2, now=NOW, jitter=0, retry_after=retry_after) == NOW + retry_after


@pytest.mark.parametrize(
    ("failed", "succeeded", "is_broken"),
    [
        (9, 0, False),  # too few to judge
        (10, 0, True),
        (7, 3, True),  # seven in ten
        (6, 4, False),
        (14, 6, True),
        (13, 7, False),
    ],
)
def test_breaker_opens_at_seven_failures_in_ten(failed: int, succeeded: int, *, is_broken: bool) -> None:
    """The share of failures counts from ten attempts on."""
    assert deliveries.is_broken([True] * failed + [False] * succeeded) is is_broken
