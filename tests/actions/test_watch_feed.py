import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from app.actions import watch_feed
from app.actions.sequence_events import sequence_events
from app.actions.tools import Tools
from app.actions.watch_feed import FeedWatch
from tests.actions import feeding, stored
from tests.actions.feeding import step_events

DEADLINE_SECONDS = 10


@pytest.fixture
async def watch(tools: Tools) -> AsyncIterator[FeedWatch]:
    """A watch that is running."""
    watch = FeedWatch(tools.engine, tools.hints)
    running = asyncio.create_task(watch.run())
    yield watch
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_hint_wakes_every_reader_at_once(tools: Tools, watch: FeedWatch) -> None:
    """Readers of one process share one look at the database; a new place wakes those who wait before it."""
    readers = [asyncio.create_task(watch.wait_beyond(0, at_most_seconds=DEADLINE_SECONDS)) for _ in range(5)]
    ahead = asyncio.create_task(watch.wait_beyond(1, at_most_seconds=0.3))
    await asyncio.sleep(0)
    await feeding.append(tools.engine, step_events(1))
    await sequence_events(tools, limit=10)

    assert await asyncio.gather(*readers) == [True] * 5
    assert await ahead is False


async def test_growth_without_a_hint_is_found_by_looking(
    tools: Tools, watch: FeedWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hint that was lost costs a moment, not an event."""
    monkeypatch.setattr(watch_feed, "POLL_SECONDS", 0.02)
    tools.hints.give("dots_gateway_feed")  # The watch takes up the shorter pause.
    await feeding.feed(tools.engine, step_events(1))

    assert await watch.wait_beyond(0, at_most_seconds=DEADLINE_SECONDS)


async def test_what_is_there_already_is_not_waited_for(tools: Tools, watch: FeedWatch) -> None:
    """A reader behind the feed is answered at once."""
    await feeding.append(tools.engine, step_events(1))
    await sequence_events(tools, limit=10)
    await watch.wait_beyond(0, at_most_seconds=DEADLINE_SECONDS)

    assert await watch.wait_beyond(0, at_most_seconds=0)


async def test_closing_sends_everybody_home(watch: FeedWatch) -> None:
    """Also those who come when it is closed already."""
    waiting = asyncio.create_task(watch.wait_beyond(0, at_most_seconds=DEADLINE_SECONDS))
    await asyncio.sleep(0)
    watch.close()

    assert await waiting is False
    assert await watch.wait_beyond(0, at_most_seconds=DEADLINE_SECONDS) is False
    assert watch.is_closing


async def test_watch_survives_a_database_that_breaks(
    tools: Tools, watch: FeedWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong with one look, the next is taken."""
    monkeypatch.setattr(watch_feed, "POLL_SECONDS", 0.02)
    await stored.execute(tools.engine, "ALTER TABLE feed RENAME TO away")
    tools.hints.give("dots_gateway_feed")
    await asyncio.wait([asyncio.create_task(watch.wait_beyond(0, at_most_seconds=0.1))])
    await stored.execute(tools.engine, "ALTER TABLE away RENAME TO feed")
    await feeding.feed(tools.engine, step_events(1))

    assert await watch.wait_beyond(0, at_most_seconds=DEADLINE_SECONDS)
