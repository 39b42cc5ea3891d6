from datetime import UTC, datetime
from random import Random

import pytest

from simulator.delivery import schedule

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def test_the_waits_equal_svixs_schedule() -> None:
    """None, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h: 27 h 35 min 5 s in total, and no ninth attempt."""
    assert schedule.WAITS_SECONDS == (0, 5, 300, 1800, 7200, 18000, 36000, 36000)
    assert sum(schedule.WAITS_SECONDS) == 27 * 3600 + 35 * 60 + 5
    assert schedule.wait_seconds(9, random=Random(1)) is None


def test_the_jitter_is_a_fifth() -> None:
    """Many draws cover the whole range and never leave it."""
    random = Random(1)

    waits = [schedule.wait_seconds(3, random=random) or 0 for _ in range(500)]

    assert 240 <= min(waits) < 245
    assert 355 < max(waits) <= 360


def test_retry_after_only_lengthens_a_wait() -> None:
    """A receiver cannot shorten the wait."""
    longer = schedule.wait_seconds(2, random=Random(1), retry_after_seconds=60)
    shorter = schedule.wait_seconds(3, random=Random(1), retry_after_seconds=60)

    assert longer == 60
    assert shorter is not None
    assert shorter >= 240


def test_speed_divides_the_whole_wait() -> None:
    """Including a `Retry-After`."""
    assert schedule.wait_seconds(2, random=Random(1), retry_after_seconds=60, speed=100) == 0.6


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("soon", None),
        ("-1", None),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(header: str | None, seconds: float | None) -> None:
    """Other values are ignored."""
    assert schedule.read_retry_after(header, now=NOW) == seconds
