import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import event
from sqlalchemy.pool import QueuePool

from app.errors import CursorOfOtherEpochError
from app.feed import events, read_feed, watch_feed
from app.feed.cursor import Cursor
from app.feed.sequence_events import sequence_events
from app.feed.watch_feed import FeedWatch
from app.subscriptions import delivery_rows
from tests.all_inputs import AllInputs
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.storage import statements, stored

DEADLINE_SECONDS = 10


@pytest.fixture
async def watch(inputs: AllInputs) -> AsyncIterator[FeedWatch]:
    """A watch that runs until the end of the test."""
    watch = FeedWatch(inputs.engine, inputs.notifications)
    task = asyncio.create_task(watch.run())
    yield watch
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def start(inputs: AllInputs) -> Cursor:
    """The cursor before the first event."""
    return await read_feed.earliest(inputs.engine)


def behind(start: Cursor, count: int) -> Cursor:
    """The cursor `count` events after another."""
    return Cursor(epoch=start.epoch, position=start.position + count)


async def await_query(watch: FeedWatch, inputs: AllInputs, cursor: Cursor) -> None:
    """Wait until the watch knows that there are events after the cursor."""
    inputs.notifications.send("dots_gateway_feed")
    assert await watch.wait_beyond(cursor, at_most_seconds=DEADLINE_SECONDS)


async def test_one_query_wakes_every_reader(inputs: AllInputs, watch: FeedWatch, start: Cursor) -> None:
    """A notification wakes all readers who wait before the new event, and only those."""
    await await_query(watch, inputs, behind(start, -1))
    readers = [asyncio.create_task(watch.wait_beyond(start, at_most_seconds=DEADLINE_SECONDS)) for _ in range(5)]
    ahead = asyncio.create_task(watch.wait_beyond(behind(start, 1), at_most_seconds=0.3))
    await asyncio.sleep(0)
    await feeding.append(inputs.engine, step_events(1))
    await sequence_events(inputs, delivery_rows, limit=10)
    with statements.noted(inputs.engine) as sent:
        answers = await asyncio.gather(*readers)

    assert answers == [True] * 5
    assert len(sent) == 1
    assert await ahead is False


async def test_lost_notification_is_made_up_by_polling(
    inputs: AllInputs, watch: FeedWatch, start: Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a notification is lost, readers get the event at the next poll."""
    monkeypatch.setattr(watch_feed, "POLL_SECONDS", 0.02)
    inputs.notifications.send("dots_gateway_feed")  # The watch takes up the shorter interval.
    await feeding.feed(inputs.engine, step_events(1))

    assert await watch.wait_beyond(start, at_most_seconds=DEADLINE_SECONDS)


async def test_readers_take_turns(inputs: AllInputs, start: Cursor, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most READS_AT_ONCE streams hold a connection, so other requests still get one."""
    monkeypatch.setattr(watch_feed, "READS_AT_ONCE", 2)
    await feeding.feed(inputs.engine, step_events(3))
    watch = FeedWatch(inputs.engine, inputs.notifications)
    pool = inputs.engine.sync_engine.pool
    assert isinstance(pool, QueuePool)
    in_use: list[int] = []

    def note(*_arguments: object) -> None:
        in_use.append(pool.checkedout())

    event.listen(inputs.engine.sync_engine, "before_cursor_execute", note)
    pages = await asyncio.gather(*(watch.read(after=start, types=events.TYPES, limit=100) for _ in range(20)))
    event.remove(inputs.engine.sync_engine, "before_cursor_execute", note)

    assert [len(page.events) for page in pages] == [3] * 20
    assert max(in_use) == 2


async def test_new_epoch_wakes_readers_and_refuses_their_cursor(
    inputs: AllInputs, watch: FeedWatch, start: Cursor
) -> None:
    """A cursor of the old epoch is refused, however long the new feed is."""
    await feeding.feed(inputs.engine, step_events(2))
    await await_query(watch, inputs, start)
    waiting = asyncio.create_task(watch.wait_beyond(behind(start, 2), at_most_seconds=DEADLINE_SECONDS))
    await asyncio.sleep(0)
    await stored.execute(inputs.engine, "UPDATE feed SET epoch = gen_random_uuid()")
    inputs.notifications.send("dots_gateway_feed")

    assert await waiting is True
    with pytest.raises(CursorOfOtherEpochError):
        await watch.read(after=behind(start, 2), types=events.TYPES, limit=100)


async def test_reader_who_knows_a_newer_epoch_waits_for_the_watch(
    inputs: AllInputs, watch: FeedWatch, start: Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watch that has not seen the new epoch yet does not make its readers query in a loop."""
    monkeypatch.setattr(watch_feed, "POLL_SECONDS", 60)
    await feeding.feed(inputs.engine, step_events(2))
    await await_query(watch, inputs, start)
    await stored.execute(inputs.engine, "UPDATE feed SET epoch = gen_random_uuid()")
    end = await read_feed.latest(inputs.engine)

    assert await watch.wait_beyond(end, at_most_seconds=0.02) is False


async def test_closing_wakes_every_reader(watch: FeedWatch, start: Cursor) -> None:
    """Closing wakes waiting readers, and later readers do not wait."""
    waiting = asyncio.create_task(watch.wait_beyond(start, at_most_seconds=DEADLINE_SECONDS))
    await asyncio.sleep(0)
    watch.close()

    assert await waiting is False
    assert await watch.wait_beyond(start, at_most_seconds=DEADLINE_SECONDS) is False
    assert watch.is_closing


async def test_watch_survives_a_database_that_breaks(
    inputs: AllInputs, watch: FeedWatch, start: Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch continues after a failed query."""
    monkeypatch.setattr(watch_feed, "POLL_SECONDS", 0.02)
    await stored.execute(inputs.engine, "ALTER TABLE feed RENAME TO away")
    inputs.notifications.send("dots_gateway_feed")
    await asyncio.wait([asyncio.create_task(watch.wait_beyond(start, at_most_seconds=0.1))])
    await stored.execute(inputs.engine, "ALTER TABLE away RENAME TO feed")
    await feeding.feed(inputs.engine, step_events(1))

    assert await watch.wait_beyond(start, at_most_seconds=DEADLINE_SECONDS)
