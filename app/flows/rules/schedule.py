"""Schedules for asking Dots again: after a failure, for an open flow, for a verdict."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.backoff import BackoffSchedule


@dataclass(frozen=True, kw_only=True)
class PollSchedule:
    """Ages at which to ask Dots: each of `ages` once, then once per `every`, up to the age `until`."""

    ages: tuple[timedelta, ...]
    every: timedelta
    until: timedelta


# Sweeps of an open flow: 1 min, 5 min, 30 min and 2 h after its creation, then daily for 30 days. A settled verdict is
# swept at the same ages of its check, because Dots may reverse it without a webhook.
SWEEPS = PollSchedule(
    ages=(timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2)),
    every=timedelta(days=1),
    until=timedelta(days=30),
)

# Polls of a pending verdict: 1 min, 5 min, 30 min and 2 h after it became pending, then every 6 h for 7 days.
VERDICT_POLLS = PollSchedule(ages=SWEEPS.ages, every=timedelta(hours=6), until=timedelta(days=7))

# Retries after a failed refresh.
RETRIES = BackoffSchedule(
    waits=(
        timedelta(seconds=2),
        timedelta(seconds=10),
        timedelta(minutes=1),
        timedelta(minutes=5),
        timedelta(minutes=30),
        timedelta(hours=2),
        timedelta(hours=6),
    )
)


def next_refresh(polls: PollSchedule, *, since: datetime, now: datetime) -> datetime | None:
    """Return when to ask next about a subject that has been open `since` then. None if the schedule has ended."""
    age = now - since
    for planned in polls.ages:
        if planned > age:
            return since + planned
    next_age = polls.every * (age // polls.every + 1)
    return since + next_age if next_age <= polls.until else None
