"""A consumer of the feed, as far as tests are concerned: so many events, and no more."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from dots_gateway_client import CursorStore, Event, Gateway, MemoryCursor, StepCompleted

DEADLINE_SECONDS = 20


async def take(
    gateway: Gateway,
    count: int,
    cursors: CursorStore | None = None,
    *,
    types: tuple[str, ...] = (),
    page_size: int = 100,
) -> list[Event]:
    """The next events; the consumer leaves in the middle of the last one, without having come back for another."""
    feed = gateway.events(cursors or MemoryCursor(), types=types, page_size=page_size)
    return await first(feed, count)


async def first(feed: AsyncGenerator[Event, None], count: int) -> list[Event]:
    """So many events of an iterator, which is then closed."""
    found: list[Event] = []
    async with asyncio.timeout(DEADLINE_SECONDS), aclosing(feed):
        async for event in feed:
            found.append(event)
            if len(found) == count:
                break
    return found


def steps_of(events: list[Event]) -> list[str]:
    """The steps that these are completions of."""
    assert all(isinstance(event, StepCompleted) for event in events), events
    return [event.step for event in events if isinstance(event, StepCompleted)]


def steps(begin: int, end: int) -> list[str]:
    """The steps that `feeding.step_events` calls `step-<begin>` to `step-<end>`."""
    return [f"step-{number}" for number in range(begin, end + 1)]
