"""Look things up for callers: one flow, a page of flows, a flow's story, a user."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import FlowNotFoundError, UserNotFoundError
from app.flows.events import EventRecord
from app.flows.subjects import Subject
from app.storage import (
    database,
    delivery_search,
    event_rows,
    flow_rows,
    flow_search,
    refresh_rows,
    user_rows,
    webhook_rows,
)
from app.storage.delivery_search import DeliverySummary
from app.storage.flow_rows import FlowRecord
from app.storage.flow_search import FlowFilter
from app.storage.refresh_rows import RefreshRecord
from app.storage.user_rows import UserRecord
from app.storage.webhook_rows import WebhookRecord

# What a story tells at most of each kind, the latest: a flow has dozens, a storm could make it thousands.
STORY_LIMIT = 200


@dataclass(frozen=True, kw_only=True)
class Story:
    """Everything that happened to a flow and its user; each list oldest first."""

    flow: FlowRecord
    webhooks: list[WebhookRecord]
    refreshes: list[RefreshRecord]
    events: list[EventRecord]
    deliveries: list[DeliverySummary]

    def without(self, types: Collection[str]) -> Self:
        """The same for a reader who must not know of events of these types."""
        return replace(
            self,
            events=[event for event in self.events if event.type not in types],
            deliveries=[delivery for delivery in self.deliveries if delivery.type not in types],
        )


async def read_flow(engine: AsyncEngine, flow_id: str) -> FlowRecord:
    """The flow with this id of Dots. Raises FlowNotFoundError."""
    async with database.transaction(engine) as connection:
        return await _find(connection, flow_id)


async def list_flows(
    engine: AsyncEngine, wanted: FlowFilter, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[FlowRecord]:
    """The newest flows that match, from after the flow that was created at and is called `before`."""
    async with database.transaction(engine) as connection:
        return await flow_search.page(connection, wanted, before=before, limit=limit)


async def read_story(engine: AsyncEngine, flow_id: str, *, with_deliveries: bool) -> Story:
    """Everything known about a flow and, once it has one, its user. Raises FlowNotFoundError."""
    async with database.transaction(engine) as connection:
        flow = await _find(connection, flow_id)
        subjects = [Subject(app=flow.app, kind="flow", id=flow_id)]
        if flow.user_id is not None:
            subjects.append(Subject(app=flow.app, kind="user", id=flow.user_id))
        story = Story(flow=flow, webhooks=[], refreshes=[], events=[], deliveries=[])
        for subject in subjects:
            story.webhooks.extend(await webhook_rows.about(connection, subject, limit=STORY_LIMIT))
            story.refreshes.extend(await refresh_rows.about(connection, subject, limit=STORY_LIMIT))
            story.events.extend(await event_rows.about(connection, subject.app, str(subject), limit=STORY_LIMIT))
            if with_deliveries:
                found = await delivery_search.about(connection, subject.app, str(subject), limit=STORY_LIMIT)
                story.deliveries.extend(found)
        return story


async def read_user(engine: AsyncEngine, user_id: str) -> UserRecord:
    """The user with this id of Dots. Raises UserNotFoundError."""
    async with database.transaction(engine) as connection:
        user = await user_rows.find(connection, user_id)
    if user is None:
        raise UserNotFoundError
    return user


async def _find(connection: AsyncConnection, flow_id: str) -> FlowRecord:
    flow = await flow_rows.find(connection, flow_id)
    if flow is None:
        raise FlowNotFoundError
    return flow
