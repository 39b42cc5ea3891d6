"""The feed over HTTP: pages, long poll, and a stream of server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field

from app.actions import audit_reads, manage_keys, read_feed
from app.actions.read_feed import FeedPage
from app.errors import FieldProblem, GatewayError, InvalidFieldsError, ScopeMissingError
from app.flows import cursor, events
from app.flows.cursor import Cursor
from app.outbound import cloudevents
from app.storage.key_rows import KeyRecord
from app.web import gateway
from app.web.access import COMPLIANCE, RequiredScope
from app.web.gateway import Gateway

router = APIRouter(prefix="/v1", tags=["events"])

HEARTBEAT_SECONDS = 15.0
STREAM_BATCH = 200
LONGEST_WAIT_SECONDS = 30

Reader = Annotated[KeyRecord, Depends(RequiredScope("events:read"))]
After = Annotated[
    str | None,
    Query(description="A cursor; absent: from the earliest event kept; `latest`: only what comes from now on."),
]


class EventShape(BaseModel):
    """A CloudEvent."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str
    dataschema: str
    sequence: str
    data: dict[str, Any]


class EventPage(BaseModel):
    """Events in feed order; give `next_cursor` as `after` for what follows, now or later."""

    events: list[EventShape]
    next_cursor: str
    has_more: bool


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Who reads what from where."""

    gate: Gateway
    key: KeyRecord
    types: frozenset[str]
    start: Cursor


def _types(
    key: Reader,
    types: Annotated[
        list[str],
        Query(description="Types such as `dots.flow.completed` or `dots.flow.*`, by commas or repeated; absent: all."),
        Field(max_length=50),
    ] = [],  # noqa: B006  # FastAPI copies a default
) -> frozenset[str]:
    """The types asked for that this key may see. Raises InvalidFieldsError, ScopeMissingError."""
    hidden = frozenset() if COMPLIANCE in key.scopes else events.COMPLIANCE_TYPES
    patterns = [pattern.strip() for given in types for pattern in given.split(",")] or ["*"]
    wanted: set[str] = set()
    for pattern in patterns:
        matched = events.matching([pattern])
        if not matched:
            known = ", ".join(sorted(set(events.TYPES) - hidden))
            raise InvalidFieldsError([FieldProblem("types", f"matches no event type; there are {known}")])
        if matched <= hidden:
            raise ScopeMissingError(COMPLIANCE)
        wanted |= matched - hidden
    return frozenset(wanted)


async def _reading(
    request: Request,
    key: Reader,
    types: Annotated[frozenset[str], Depends(_types)],
    after: After = None,
    last_event_id: Annotated[
        str | None, Header(description="Of a stream that broke off; stronger than `after`.")
    ] = None,
) -> Reading:
    """Where to begin; a cursor that cannot be read from is refused here, before a stream has begun."""
    gate = gateway.of(request)
    engine = gate.tools.engine
    place = last_event_id or after
    if place is None:
        start = await read_feed.earliest(engine)
    elif place == "latest":
        start = await read_feed.latest(engine)
    else:
        start = cursor.parse(place)
        await read_feed.read_feed(engine, after=start, types=(), limit=1)
    return Reading(gate=gate, key=key, types=types, start=start)


@router.get("/events")
async def read(
    reading: Annotated[Reading, Depends(_reading)],
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT_SECONDS, description="Seconds to wait for a first event.")] = 0,
) -> EventPage:
    """Events after a cursor, at once or as soon as there are any."""
    page = await _next_page(reading, reading.start, limit=limit)
    if not page.events and wait:
        deadline = asyncio.get_running_loop().time() + wait
        while not page.events:
            left = deadline - asyncio.get_running_loop().time()
            if not await reading.gate.watch.wait_beyond(page.cursor.position, at_most_seconds=left):
                break
            page = await _next_page(reading, page.cursor, limit=limit)
    return EventPage(
        events=[EventShape.model_validate(cloudevents.envelope(event)) for event in page.events],
        next_cursor=str(page.cursor),
        has_more=page.has_more,
    )


@router.get("/events/stream", response_class=EventSourceResponse)
async def stream(reading: Annotated[Reading, Depends(_reading)]) -> AsyncIterator[ServerSentEvent]:
    """Events as they come. Reconnect with `Last-Event-ID`, which browsers do by themselves."""
    place = reading.start
    watch = reading.gate.watch
    yield ServerSentEvent(id=str(place), retry=2000)
    while not watch.is_closing:
        try:
            await manage_keys.check_live(reading.gate.tools.engine, reading.key.id)
            page = await _next_page(reading, place, limit=STREAM_BATCH)
        except GatewayError:
            return  # The reader comes back with its last id, and is read on to or told what is wrong.
        for event in page.events:
            here = Cursor(epoch=page.cursor.epoch, position=event.position or place.position)
            yield ServerSentEvent(raw_data=json.dumps(cloudevents.envelope(event)), event=event.type, id=str(here))
        if page.cursor != place:
            place = page.cursor
            # An id without data tells a reader nothing but how far it has come, past what was filtered out too.
            yield ServerSentEvent(id=str(place))
        if not page.has_more:
            await watch.wait_beyond(place.position, at_most_seconds=HEARTBEAT_SECONDS)


async def _next_page(reading: Reading, after: Cursor, *, limit: int) -> FeedPage:
    """The next page this reader may see, with the trail left of what it needs one for."""
    tools = reading.gate.tools
    page = await read_feed.read_feed(tools.engine, after=after, types=reading.types, limit=limit)
    checks = [event for event in page.events if event.type in events.COMPLIANCE_TYPES]
    if checks:
        await audit_reads.audit_read(tools, reading.key, " ".join(str(event.id) for event in checks))
    return page
