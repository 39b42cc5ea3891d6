"""Evidence of campaigns without processes: reads the feed by its action, and takes Dots' state as an argument."""

from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from app.dots.budget import Budget
from app.feed import cloudevents, cursor, events, read_feed
from tests.faults.campaigns import history, stored
from tests.faults.campaigns.evidence import DotsState, Evidence
from tests.faults.campaigns.history import Page, Timeline

# Not a limit here: in virtual time a thousand creations begin at the same moment.
AMPLE = Budget(per_second=10_000, burst=100_000)


async def collect(
    database_url: str, engine: AsyncEngine, timeline: Timeline, dots_state: DotsState, *, now: datetime | None = None
) -> Evidence:
    """The evidence at `now`, by the campaign's own clock if it has one."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = await stored.read(connection, now)
    finally:
        await connection.close()
    return Evidence(
        timeline=timeline,
        webhooks=rows.webhooks,
        sync_rows=rows.sync_rows,
        flows=rows.flows,
        users=rows.users,
        events=rows.events,
        dots_state=dots_state,
        feed=await _read_all(engine, limit=500),
        feed_again=await _read_all(engine, limit=7),
        subscriptions=rows.subscriptions,
        deliveries=rows.deliveries,
        cursors=rows.cursors,
    )


async def read_page(engine: AsyncEngine, after: str | None, *, limit: int) -> Page:
    """One page of the feed, as a line for the history."""
    place = cursor.parse(after) if after else await read_feed.earliest(engine)
    page = await read_feed.read_feed(engine, after=place, types=events.TYPES, limit=limit)
    shown = [cloudevents.envelope(event) for event in page.events]
    return Page(after=after, next_cursor=str(page.cursor), digests=history.digests(shown))


async def _read_all(engine: AsyncEngine, *, limit: int) -> list[Any]:
    place, found = await read_feed.earliest(engine), []
    while True:
        page = await read_feed.read_feed(engine, after=place, types=events.TYPES, limit=limit)
        found += [cloudevents.envelope(event) for event in page.events]
        place = page.cursor
        if not page.has_more:
            return found
