from datetime import timedelta

import pytest

from app.errors import CursorExpiredError
from app.feed import read_feed
from app.feed.events import TYPES
from app.upkeep import purge_expired
from app.upkeep.purge_expired import Retention
from tests.all_inputs import AllInputs, HandClock
from tests.dots.fake_dots import NOW
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.storage import stored

DAY = timedelta(days=1)
RETENTION = Retention(bodies=30 * DAY, webhooks=120 * DAY, refreshes=30 * DAY, answers=DAY, events=90 * DAY)


async def add_webhook(inputs: AllInputs, message_id: str, *, age: timedelta, last: timedelta | None = None) -> None:
    """Store a webhook of this age. `last` is the age of its last repeat."""
    await stored.execute(
        inputs.engine,
        "INSERT INTO webhooks (app, message_id, received_at, last_received_at, received_count, body) "
        "VALUES ('default', :id, :received_at, :last, 1, 'body')",
        id=message_id,
        received_at=NOW - age,
        last=NOW - (age if last is None else last),
    )


async def test_bodies_go_before_ids(inputs: AllInputs) -> None:
    """A body is kept for 30 days and the id for 120, counted from the last repeat. The next pass finds nothing."""
    for name, age in (("young", 29 * DAY), ("old", 31 * DAY), ("very old", 121 * DAY)):
        await add_webhook(inputs, name, age=age)
    await add_webhook(inputs, "repeated", age=121 * DAY, last=DAY)

    purged = [await purge_expired.purge_expired(inputs, RETENTION) for _ in range(2)]

    left = await stored.rows(inputs.engine, "SELECT message_id, body FROM webhooks ORDER BY message_id")
    assert [tuple(row.values()) for row in left] == [("old", None), ("repeated", None), ("young", b"body")]
    assert purged == [4, 0]


async def test_purged_cursor_has_expired_and_the_next_has_not(inputs: AllInputs, clock: HandClock) -> None:
    """A reader behind the purge gets the error that its cursor has expired. A reader at its edge has missed nothing."""
    await feeding.feed(inputs.engine, step_events(2))
    start = await read_feed.earliest(inputs.engine)
    edge = await read_feed.latest(inputs.engine)
    clock.advance(91 * DAY)
    await feeding.feed(inputs.engine, step_events(3, at=clock.now)[2:], after_sequence=2)
    await purge_expired.purge_expired(inputs, RETENTION)

    with pytest.raises(CursorExpiredError):
        await read_feed.read_feed(inputs.engine, after=start, types=TYPES, limit=10)
    page = await read_feed.read_feed(inputs.engine, after=edge, types=TYPES, limit=10)
    assert [event.data["step"] for event in page.events] == ["step-3"]
    assert await read_feed.earliest(inputs.engine) == edge


async def test_flows_and_users_are_kept(inputs: AllInputs, clock: HandClock) -> None:
    """Flows and users never expire."""
    await stored.execute(
        inputs.engine,
        "INSERT INTO flows (ref, app, status, created_at) VALUES (gen_random_uuid(), 'default', 'failed', now())",
        "INSERT INTO users (app, id, first_seen_at) VALUES ('default', 'user-1', now())",
    )
    clock.advance(4000 * DAY)

    await purge_expired.purge_expired(inputs, RETENTION)

    assert await stored.count(inputs.engine, "flows") == 1
    assert await stored.count(inputs.engine, "users") == 1
