from datetime import timedelta

import pytest

from app.backoff import BackoffSchedule

SECOND = timedelta(seconds=1)
SCHEDULE = BackoffSchedule(waits=(SECOND, 10 * SECOND, 60 * SECOND))


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 10), (3, 60), (4, 60), (1_000_000, 60)])
def test_each_failure_has_its_wait_and_the_last_one_repeats(failures: int, seconds: int) -> None:
    """The schedule is a list of waits without an end."""
    assert SCHEDULE.wait(failures) == seconds * SECOND


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 8), (0.25, 9), (0.5, 10), (1.0, 12)])
def test_jitter_is_a_fifth_either_way(jitter: float, seconds: int) -> None:
    """What failed at the same moment is not tried again at the same moment."""
    assert SCHEDULE.wait(2, jitter=jitter) == seconds * SECOND


@pytest.mark.parametrize(("at_least", "seconds"), [(None, 10), (0, 10), (9, 10), (11, 11)])
def test_wait_is_never_less_than_asked_for(at_least: int | None, seconds: int) -> None:
    """A Retry-After lengthens a wait and never shortens it."""
    asked_for = None if at_least is None else at_least * SECOND

    assert SCHEDULE.wait(2, at_least=asked_for) == seconds * SECOND
