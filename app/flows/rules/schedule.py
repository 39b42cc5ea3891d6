"""When to ask Dots again: after a failure, for an open flow, for a verdict."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.backoff import BackoffSchedule


@dataclass(frozen=True, kw_only=True)
class PollSchedule:
    """Ages at which to ask Dots: each of `ages` once, then once per `every`, up to the age `until`."""

    ages: tuple[timedelta, ...]
    every: timedelta
    until: timedelta


# An open flow is looked at 1 min, 5 min, 30 min and 2 h after its creation, then daily to 30 days. So is a verdict
# that has settled, after the check was handed in: Dots may reverse it, and tell us or not.
SWEEPS = PollSchedule(
    ages=(timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2)),
    every=timedelta(days=1),
    until=timedelta(days=30),
)

# A pending verdict is looked at 1 min, 5 min, 30 min and 2 h after it became pending, then every 6 h for 7 days.
VERDICT_POLLS = PollSchedule(ages=SWEEPS.ages, every=timedelta(hours=6), until=timedelta(days=7))

# After a refresh that failed.
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
    """When to ask next about something that has been open `since` then. None if the schedule has ended."""
    age = now - since
    for planned in polls.ages:
        if planned > age:
            return since + planned
    next_age = polls.every * (age // polls.every + 1)
    return since + next_age if next_age <= polls.until else None
