import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import event
from sqlalchemy.pool import QueuePool

from app.errors import CursorExpiredError, CursorOfOtherEpochError
from app.feed import events, read_feed, watch_feed
from app.feed.cursor import Cursor
from app.feed.feed_tail import PlacedPage
from app.feed.sequence_events import sequence_events
from app.feed.watch_feed import FeedWatch
from app.subscriptions import delivery_rows
from app.tools import Tools
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.storage import statements, stored

DEADLINE_SECONDS = 10


@contextlib.asynccontextmanager
async def running(tools: Tools) -> AsyncIterator[FeedWatch]:
    """A watch that runs until the end of the block."""
    watch = FeedWatch(tools.engine, tools.hints)
    task = asyncio.create_task(watch.run())
    yield watch
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def watch(tools: Tools) -> AsyncIterator[FeedWatch]:
    """A watch that is running."""
    async with running(tools) as watch:
        yield watch


@pytest.fixture
async def start(tools: Tools) -> Cursor:
    """The place before the first event."""
    return await read_feed.earliest(tools.engine)


def behind(start: Cursor, count: int) -> Cursor:
    """The place so many events behind another."""
    return Cursor(epoch=start.epoch, position=start.position + count)


def steps_of(page: PlacedPage) -> list[str]:
    """The steps that a page's events are about."""
    return [placed.event.data["step"] for placed in page.events]


async def read_on(watch: FeedWatch, place: Cursor) -> PlacedPage:
    """Everything behind a place, as the watch has it."""
    return await watch.read_on(after=place, types=events.TYPES, limit=100)


async def looked(watch: FeedWatch, tools: Tools, place: Cursor) -> None:
    """Wait until the watch has seen that there is something behind the place."""
    tools.hints.give("dots_gateway_feed")
    assert await watch.wait_beyond(place, at_most_seconds=DEADLINE_SECONDS)


async def test_hint_wakes_every_reader_at_once(tools: Tools, watch: FeedWatch, start: Cursor) -> None:
    """Readers of one process share one look at the database; a new place wakes those who wait before it."""
    readers = [asyncio.create_task(watch.wait_beyond(start, at_most_seconds=DEADLINE_SECONDS)) for _ in range(5)]
    ahead = asyncio.create_task(watch.wait_beyond(behind(start, 1), at_most_seconds=0.3))
    await asyncio.sleep(0)
    await feeding.append(tools.engine, step_events(1))
    await sequence_events(tools, delivery_rows, limit=10)

    assert await asyncio.gather(*readers) == [True] * 5
    assert await ahead is False


async def test_growth_without_a_hint_is_found_by_looking(
    tools: Tools, watch: FeedWatch, start: Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hint that was lost costs a moment, not an event."""
    monkeypatch.setattr(watch_feed, "POLL_SECONDS", 0.02)
    tools.hints.give("dots_gateway_feed")  # The watch takes up the shorter pause.
    await feeding.feed(tools.engine, step_events(1))

    assert await watch.wait_beyond(start, at_most_seconds=DEADLINE_SECONDS)


async def test_what_is_there_already_is_not_waited_for(tools: Tools, watch: FeedWatch, start: Cursor) -> None:
    """A reader behind the feed is answered at once."""
    await feeding.feed(tools.engine, step_events(1))
    await looked(watch, tools, start)

    assert await watch.wait_beyond(start, at_most_seconds=0)


async def test_readers_near_the_end_are_served_from_memory(tools: Tools, watch: FeedWatch, start: Cursor) -> None:
    """However many read, and from wherever, what was looked at once is not asked for again."""
    await feeding.feed(tools.engine, step_events(3))
    await looked(watch, tools, start)

    with statements.noted(tools.engine) as sent:
        pages = [await read_on(watch, behind(start, index % 3)) for index in range(30)]

    assert sent == []
    assert [steps_of(page) for page in pages[:3]] == [["step-1", "step-2", "step-3"], ["step-2", "step-3"], ["step-3"]]
    assert {page.cursor for page in pages} == {behind(start, 3)}


async def test_reader_ahead_of_memory_is_told_to_wait(tools: Tools, watch: FeedWatch, start: Cursor) -> None:
    """Whoever has read further from the database gets nothing twice, and does not ask it again."""
    await feeding.feed(tools.engine, step_events(1))
    await looked(watch, tools, start)

    with statements.noted(tools.engine) as sent:
        page = await read_on(watch, behind(start, 2))

    assert (page.events, page.cursor, page.has_more, sent) == ([], behind(start, 2), False, [])


async def test_reader_behind_memory_reads_from_the_database(
    tools: Tools, start: Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a gap to what is in memory."""
    monkeypatch.setattr("app.feed.feed_tail.LENGTH", 2)
    await feeding.feed(tools.engine, step_events(5))
    async with running(tools) as watch:
        await looked(watch, tools, start)
        with statements.noted(tools.engine) as sent:
            far = await read_on(watch, behind(start, 2))
            asked = len(sent)
            near = await read_on(watch, behind(start, 3))

    assert (steps_of(far), asked > 0) == (["step-3", "step-4", "step-5"], True)
    assert (steps_of(near), len(sent)) == (["step-4", "step-5"], asked)


async def test_readers_who_are_behind_take_turns(tools: Tools, start: Cursor, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many catch up at once, connections are left for others."""
    monkeypatch.setattr(watch_feed, "CATCH_UP_AT_ONCE", 2)
    await feeding.feed(tools.engine, step_events(3))
    watch = FeedWatch(tools.engine, tools.hints)
    pool = tools.engine.sync_engine.pool
    assert isinstance(pool, QueuePool)
    in_use: list[int] = []

    def note(*_arguments: object) -> None:
        in_use.append(pool.checkedout())

    event.listen(tools.engine.sync_engine, "before_cursor_execute", note)
    pages = await asyncio.gather(*(read_on(watch, start) for _ in range(20)))
    event.remove(tools.engine.sync_engine, "before_cursor_execute", note)

    assert [len(page.events) for page in pages] == [3] * 20
    assert max(in_use) == 2


async def test_new_epoch_wakes_readers_and_ends_their_place(tools: Tools, watch: FeedWatch, start: Cursor) -> None:
    """A feed begun anew is another feed, however far the old one was read."""
    await feeding.feed(tools.engine, step_events(2))
    await looked(watch, tools, start)
    waiting = asyncio.create_task(watch.wait_beyond(behind(start, 2), at_most_seconds=DEADLINE_SECONDS))
    await asyncio.sleep(0)
    await stored.execute(tools.engine, "UPDATE feed SET epoch = gen_random_uuid()")
    tools.hints.give("dots_gateway_feed")

    assert await waiting is True
    with pytest.raises(CursorOfOtherEpochError):
        await read_on(watch, behind(start, 2))


async def test_purged_events_are_not_served_from_memory(tools: Tools, watch: FeedWatch, start: Cursor) -> None:
    """What has expired is gone for everybody."""
    await feeding.feed(tools.engine, step_events(3))
    await looked(watch, tools, start)
    await stored.execute(tools.engine, "UPDATE feed SET expired_position = 2")
    await stored.execute(tools.engine, "DELETE FROM events WHERE position <= 2")
    await feeding.feed(tools.engine, step_events(4)[3:], after_sequence=3)
    await looked(watch, tools, behind(start, 3))

    assert steps_of(await read_on(watch, behind(start, 2))) == ["step-3", "step-4"]
    with pytest.raises(CursorExpiredError):
        await read_on(watch, behind(start, 1))


async def test_watch_that_cannot_look_leaves_readers_to_the_database(
    tools: Tools, watch: FeedWatch, start: Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in memory is trusted for a while only."""
    await feeding.feed(tools.engine, step_events(1))
    await looked(watch, tools, start)
    monkeypatch.setattr(watch_feed, "STALE_SECONDS", 0)

    with statements.noted(tools.engine) as sent:
        page = await read_on(watch, start)

    assert (steps_of(page), sent != []) == (["step-1"], True)


async def test_closing_sends_everybody_home(watch: FeedWatch, start: Cursor) -> None:
    """Also those who come when it is closed already."""
    waiting = asyncio.create_task(watch.wait_beyond(start, at_most_seconds=DEADLINE_SECONDS))
    await asyncio.sleep(0)
    watch.close()

    assert await waiting is False
    assert await watch.wait_beyond(start, at_most_seconds=DEADLINE_SECONDS) is False
    assert watch.is_closing


async def test_watch_survives_a_database_that_breaks(
    tools: Tools, watch: FeedWatch, start: Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong with one look, the next is taken."""
    monkeypatch.setattr(watch_feed, "POLL_SECONDS", 0.02)
    await stored.execute(tools.engine, "ALTER TABLE feed RENAME TO away")
    tools.hints.give("dots_gateway_feed")
    await asyncio.wait([asyncio.create_task(watch.wait_beyond(start, at_most_seconds=0.1))])
    await stored.execute(tools.engine, "ALTER TABLE away RENAME TO feed")
    await feeding.feed(tools.engine, step_events(1))

    assert await watch.wait_beyond(start, at_most_seconds=DEADLINE_SECONDS)
