from datetime import timedelta

import pytest

from app.backoff import BackoffSchedule

SECOND = timedelta(seconds=1)
SCHEDULE = BackoffSchedule(waits=(SECOND, 10 * SECOND, 60 * SECOND))


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 10), (3, 60), (4, 60), (1_000_000, 60)])
def test_each_failure_has_its_wait_and_the_last_one_repeats(failures: int, seconds: int) -> None:
    """The last wait applies to all later failures."""
    assert SCHEDULE.wait(failures) == seconds * SECOND


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 8), (0.25, 9), (0.5, 10), (1.0, 12)])
def test_jitter_is_a_fifth_either_way(jitter: float, seconds: int) -> None:
    """Jitter spreads the retries of requests that failed at the same moment."""
    assert SCHEDULE.wait(2, jitter=jitter) == seconds * SECOND


@pytest.mark.parametrize(("at_least", "seconds"), [(None, 10), (0, 10), (9, 10), (11, 11)])
def test_retry_after_can_only_lengthen_a_wait(at_least: int | None, seconds: int) -> None:
    """The wait is at least what the receiver asks for."""
    retry_after = None if at_least is None else at_least * SECOND

    assert SCHEDULE.wait(2, at_least=retry_after) == seconds * SECOND
