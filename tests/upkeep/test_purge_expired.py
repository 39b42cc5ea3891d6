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
    """A webhook that came so long ago, and for the last time so long ago."""
    await stored.execute(
        inputs.engine,
        "INSERT INTO webhooks (app, message_id, received_at, last_received_at, received_count, body) "
        "VALUES ('default', :id, :received_at, :last, 1, 'body')",
        id=message_id,
        received_at=NOW - age,
        last=NOW - (age if last is None else last),
    )


async def test_bodies_go_before_ids(inputs: AllInputs) -> None:
    """A body is kept for 30 days; the id longer, so that a late repeat is still known as one."""
    for name, age in (("young", 29 * DAY), ("old", 31 * DAY), ("very old", 121 * DAY)):
        await add_webhook(inputs, name, age=age)
    await add_webhook(inputs, "repeated", age=121 * DAY, last=DAY)

    purged = await purge_expired.purge_expired(inputs, RETENTION)

    left = await stored.rows(inputs.engine, "SELECT message_id, body FROM webhooks ORDER BY message_id")
    assert [tuple(row.values()) for row in left] == [("old", None), ("repeated", None), ("young", b"body")]
    assert purged == 4


async def test_pass_that_finds_nothing_says_so(inputs: AllInputs) -> None:
    """The loop rests once a pass has purged nothing."""
    await add_webhook(inputs, "young", age=DAY)

    assert await purge_expired.purge_expired(inputs, RETENTION) == 0


async def test_pass_is_bounded(inputs: AllInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backlog is purged in small transactions, pass after pass, to its end."""
    monkeypatch.setattr(purge_expired, "BATCH", 2)
    for number in range(5):
        await add_webhook(inputs, f"msg_{number}", age=31 * DAY)

    purged = [await purge_expired.purge_expired(inputs, RETENTION) for _ in range(4)]

    assert purged == [2, 2, 1, 0]


async def test_only_the_front_of_the_feed_goes(inputs: AllInputs) -> None:
    """An old event behind a young one stays: a feed with a hole would look like one without."""
    await feeding.feed(inputs.engine, step_events(2, flow_id="old", at=NOW - 100 * DAY))
    await feeding.feed(inputs.engine, step_events(1, flow_id="young", at=NOW))
    await feeding.feed(inputs.engine, step_events(1, flow_id="late", at=NOW - 100 * DAY))

    await purge_expired.purge_expired(inputs, RETENTION)

    left = await stored.rows(inputs.engine, "SELECT position FROM events ORDER BY position")
    feed = await feeding.state(inputs.engine)
    assert [row["position"] for row in left] == [3, 4]
    assert (feed.last_position, feed.expired_position) == (4, 2)


async def test_event_without_a_place_is_never_purged(inputs: AllInputs) -> None:
    """Nobody has had a chance to read it."""
    await feeding.append(inputs.engine, step_events(2, at=NOW - 100 * DAY))

    await purge_expired.purge_expired(inputs, RETENTION)

    assert await stored.count(inputs.engine, "events") == 2


async def test_whole_feed_may_go_and_goes_on(inputs: AllInputs, clock: HandClock) -> None:
    """After a long silence the feed is empty; the next event has the next place, not the first."""
    await feeding.feed(inputs.engine, step_events(3))
    clock.advance(91 * DAY)
    await purge_expired.purge_expired(inputs, RETENTION)
    emptied = await feeding.state(inputs.engine)
    await feeding.feed(inputs.engine, step_events(4, at=clock.now)[3:], after_sequence=3)

    assert (emptied.last_position, emptied.expired_position) == (3, 3)
    assert await stored.rows(inputs.engine, "SELECT position FROM events") == [{"position": 4}]


async def test_purged_cursor_has_expired_and_the_next_has_not(inputs: AllInputs, clock: HandClock) -> None:
    """The reader behind the purge hears that it missed something; who stands at its edge has missed nothing."""
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
    """What is known of flows is the state itself: it does not expire."""
    await stored.execute(
        inputs.engine,
        "INSERT INTO flows (ref, app, status, created_at) VALUES (gen_random_uuid(), 'default', 'failed', now())",
        "INSERT INTO users (app, id, first_seen_at) VALUES ('default', 'user-1', now())",
    )
    clock.advance(4000 * DAY)

    await purge_expired.purge_expired(inputs, RETENTION)

    assert await stored.count(inputs.engine, "flows") == 1
    assert await stored.count(inputs.engine, "users") == 1
