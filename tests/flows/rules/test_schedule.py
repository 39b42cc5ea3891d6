from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.flows.rules import schedule
from app.flows.rules.schedule import (
    RETRIES,
    SWEEPS,
    VERDICT_POLLS,
    PollSchedule,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def seconds(number: float) -> timedelta:
    """Return a duration in seconds."""
    return timedelta(seconds=number)


def minutes(number: float) -> timedelta:
    """Return a duration in minutes."""
    return timedelta(minutes=number)


def hours(number: float) -> timedelta:
    """Return a duration in hours."""
    return timedelta(hours=number)


# The age of an open flow, and its age at the next sweep.
SWEPT = [
    (minutes(0), minutes(1)),
    (seconds(59), minutes(1)),
    (minutes(1), minutes(5)),
    (minutes(5), minutes(30)),
    (minutes(30), hours(2)),
    (hours(2), hours(24)),
    (hours(23), hours(24)),
    (hours(24), hours(48)),
    (hours(24 * 29), hours(24 * 30)),
    (hours(24 * 30), None),
    (hours(24 * 400), None),
    # A clock that is a little behind.
    (minutes(-1), minutes(1)),
]


@pytest.mark.parametrize(("age", "next_age"), SWEPT, ids=str)
def test_open_flow_is_swept(age: timedelta, next_age: timedelta | None) -> None:
    """The ages are 1 min, 5 min, 30 min, 2 h, then daily to 30 days."""
    found = schedule.next_refresh(SWEEPS, since=NOON, now=NOON + age)

    assert found == (None if next_age is None else NOON + next_age)


POLLED = [
    (minutes(0), minutes(1)),
    (minutes(30), hours(2)),
    (hours(2), hours(6)),
    (hours(6), hours(12)),
    (hours(7), hours(12)),
    (hours(24 * 7 - 1), hours(24 * 7)),
    (hours(24 * 7), None),
]


@pytest.mark.parametrize(("age", "next_age"), POLLED, ids=str)
def test_pending_verdict_is_polled(age: timedelta, next_age: timedelta | None) -> None:
    """The ages are 1 min, 5 min, 30 min, 2 h, then every 6 h for 7 days."""
    found = schedule.next_refresh(VERDICT_POLLS, since=NOON, now=NOON + age)

    assert found == (None if next_age is None else NOON + next_age)


def test_failed_refresh_waits_longer_each_time() -> None:
    """After a failed refresh the waits are 2 s, 10 s, 1 min, 5 min, 30 min, 2 h and then 6 h."""
    waits = [seconds(2), seconds(10), minutes(1), minutes(5), minutes(30), hours(2), hours(6), hours(6)]

    assert [RETRIES.wait(failures) for failures in range(1, 9)] == waits


poll_schedules = st.builds(
    PollSchedule,
    ages=st.lists(st.timedeltas(seconds(1), hours(1)), max_size=4).map(lambda ages: tuple(sorted(ages))),
    every=st.timedeltas(minutes(1), hours(48)),
    until=st.timedeltas(minutes(1), hours(24 * 40)),
)


@given(poll_schedules, st.timedeltas(-hours(1), hours(24 * 50)))
def test_next_refresh_is_always_later(polls: PollSchedule, age: timedelta) -> None:
    """A time in the past would cause a loop without a pause."""
    found = schedule.next_refresh(polls, since=NOON, now=NOON + age)

    assert found is None or found > NOON + age
