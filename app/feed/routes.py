"""The feed over HTTP: pages, long poll, and a stream of server-sent events."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from app.feed import cloudevents, event_stream
from app.feed.event_stream import EventStream
from app.feed.feed_reading import PageReading, StreamReading
from app.feed.schemas import EventPage, EventResponse

router = APIRouter(prefix="/v1", tags=["events"])

LONGEST_WAIT_SECONDS = 30


@router.get("/events", operation_id="readEvents", summary="Read events")
async def read(
    reading: PageReading,
    limit: Annotated[int, Query(ge=1, le=500, description="The most events on a page.")] = 100,
    wait: Annotated[
        float, Query(ge=0, le=LONGEST_WAIT_SECONDS, description="How long to wait for a first event, in seconds.")
    ] = 0,
) -> EventPage:
    """Read the events after a cursor. With `wait`, an empty page is answered only after that time."""
    page = await reading.first_page(limit=limit)
    deadline = asyncio.get_running_loop().time() + wait
    while wait and not page.events:
        left = deadline - asyncio.get_running_loop().time()
        if not await reading.watch.wait_beyond(page.cursor, at_most_seconds=left):
            break
        page = await reading.next_page(after=page.cursor, limit=limit)
    return EventPage(
        events=[EventResponse.model_validate(cloudevents.envelope(event)) for event in page.events],
        next_cursor=str(page.cursor),
        has_more=page.has_more,
    )


@router.get(
    "/events/stream",
    operation_id="streamEvents",
    summary="Stream events",
    response_class=EventStream,
    responses={200: {"content": event_stream.CONTENT}},
)
async def stream(reading: StreamReading) -> EventStream:
    """Send events as they occur. To resume a stream, send `Last-Event-ID`, as browsers do."""
    return EventStream(event_stream.messages(reading))
