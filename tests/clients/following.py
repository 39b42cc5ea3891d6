"""Reads a number of events from the feed, and names the expected steps."""

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
    """The next `count` events. The consumer stops at the last one and does not ask for another."""
    feed = gateway.events(cursors or MemoryCursor(), types=types, page_size=page_size)
    return await first(feed, count)


async def first(feed: AsyncGenerator[Event, None], count: int) -> list[Event]:
    """The first `count` events of an iterator. Closes it."""
    found: list[Event] = []
    async with asyncio.timeout(DEADLINE_SECONDS), aclosing(feed):
        async for event in feed:
            found.append(event)
            if len(found) == count:
                break
    return found


def steps_of(events: list[Event]) -> list[str]:
    """The steps of these events, which must all be StepCompleted."""
    assert all(isinstance(event, StepCompleted) for event in events), events
    return [event.step for event in events if isinstance(event, StepCompleted)]


def steps(begin: int, end: int) -> list[str]:
    """The names `step-<begin>` to `step-<end>`, as `feeding.step_events` makes them."""
    return [f"step-{number}" for number in range(begin, end + 1)]
