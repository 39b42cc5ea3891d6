"""When to ask Dots again: after a failure, for an open flow, for a verdict."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.backoff import BackoffSchedule


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Ages at which to look: each of `rungs` once, then `every` so often, up to the age `until`."""

    rungs: tuple[timedelta, ...]
    every: timedelta
    until: timedelta


# An open flow is looked at 1 min, 5 min, 30 min and 2 h after its creation, then daily to 30 days. So is a verdict
# that has settled, after the check was handed in: Dots may reverse it, and tell us or not.
SWEEPS = Ladder(
    rungs=(timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2)),
    every=timedelta(days=1),
    until=timedelta(days=30),
)

# A pending verdict is looked at 1 min, 5 min, 30 min and 2 h after it became pending, then every 6 h for 7 days.
VERDICT_POLLS = Ladder(rungs=SWEEPS.rungs, every=timedelta(hours=6), until=timedelta(days=7))

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


def next_look(ladder: Ladder, *, since: datetime, now: datetime) -> datetime | None:
    """When to look next at something that has been open `since` then; None when no look is left."""
    age = now - since
    for rung in ladder.rungs:
        if rung > age:
            return since + rung
    next_age = ladder.every * (age // ladder.every + 1)
    return since + next_age if next_age <= ladder.until else None
