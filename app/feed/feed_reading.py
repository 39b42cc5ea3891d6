"""The query parameters that pages and streams of the feed share."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Query, Request
from pydantic import Field

from app.access import audit_reads
from app.access.key_rows import KeyRecord
from app.access.scopes import COMPLIANCE, RequiredScope
from app.errors import FieldProblem, InvalidFieldsError, ScopeMissingError
from app.feed import cursor, events, read_feed
from app.feed.cursor import Cursor
from app.feed.read_feed import FeedPage
from app.feed.watch_feed import FeedWatch
from app.storage.inputs import StorageInputs
from app.web import examples, given

Reader = Annotated[KeyRecord, Depends(RequiredScope("events:read"))]
After = Annotated[
    str | None,
    Query(
        description="A cursor. Absent: from the earliest stored event. `latest`: only events from now on.",
        examples=[examples.CURSOR],
    ),
]
Types = Annotated[
    list[str],
    Query(
        description="Event types such as `dots.flow.completed` or `dots.flow.*`, separated by commas. Absent: all.",
        examples=[["dots.flow.*"]],
    ),
    Field(max_length=50),
]
LastEventId = Annotated[str | None, Header(description="The last id of an interrupted stream. It overrides `after`.")]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One request to read the feed: the key, the event types and the first cursor."""

    storage: StorageInputs
    watch: FeedWatch
    key: KeyRecord
    types: frozenset[str]
    start: Cursor

    async def first_page(self, *, limit: int) -> FeedPage:
        """Read the page after `start` immediately, and audit it."""
        engine = self.storage.engine
        return await self._audited(await read_feed.read_feed(engine, after=self.start, types=self.types, limit=limit))

    async def next_page(self, *, after: Cursor, limit: int) -> FeedPage:
        """Read a later page when it is this reader's turn, and audit it."""
        return await self._audited(await self.watch.read(after=after, types=self.types, limit=limit))

    async def _audited(self, page: FeedPage) -> FeedPage:
        """Write an audit row if the page has events that need compliance:read."""
        checks = [str(event.id) for event in page.events if event.type in events.COMPLIANCE_TYPES]
        if checks:
            await audit_reads.audit_read(self.storage, self.key, " ".join(checks))
        return page


def _wanted_types(key: Reader, types: Types = []) -> frozenset[str]:  # noqa: B006  # FastAPI copies a default
    """The requested types that this key may see. Raises InvalidFieldsError, ScopeMissingError."""
    hidden = frozenset() if COMPLIANCE in key.scopes else events.COMPLIANCE_TYPES
    patterns = [pattern.strip() for text in types for pattern in text.split(",")] or ["*"]
    wanted: set[str] = set()
    for pattern in patterns:
        matched = events.matching([pattern])
        if not matched:
            known = ", ".join(sorted(set(events.TYPES) - hidden))
            raise InvalidFieldsError([FieldProblem("types", f"matches no event type; the types are {known}")])
        if matched <= hidden:
            raise ScopeMissingError(COMPLIANCE)
        wanted |= matched - hidden
    return frozenset(wanted)


async def _reading(
    request: Request,
    key: Reader,
    types: Annotated[frozenset[str], Depends(_wanted_types)],
    after: After = None,
    last_event_id: LastEventId = None,
) -> Reading:
    """Collect the request's parameters. Raises InvalidCursorError."""
    storage = given.of(request, StorageInputs)
    requested = last_event_id or after
    if requested is None:
        start = await read_feed.earliest(storage.engine)
    elif requested == "latest":
        start = await read_feed.latest(storage.engine)
    else:
        start = cursor.parse(requested)
    return Reading(storage=storage, watch=given.of(request, FeedWatch), key=key, types=types, start=start)


PageReading = Annotated[Reading, Depends(_reading)]


async def _stream_reading(reading: PageReading) -> Reading:
    """Check the cursor by reading from it, because a stream that has begun can no longer send an error status."""
    await read_feed.read_feed(reading.storage.engine, after=reading.start, types=(), limit=1)
    return reading


StreamReading = Annotated[Reading, Depends(_stream_reading)]
