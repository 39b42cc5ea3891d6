"""Reads the timeline of a flow: what happened to the flow and its user, and when."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import FlowNotFoundError
from app.feed import event_rows
from app.feed.events import EventRecord
from app.flows import flow_rows, refresh_rows
from app.flows.flow_rows import FlowRecord
from app.flows.refresh_rows import RefreshRecord
from app.storage import database
from app.storage.subjects import Subject

# The most entries of one kind; the latest are kept. A flow has dozens, but a flood of webhooks could make thousands.
ENTRIES_LIMIT = 200


@dataclass(frozen=True, kw_only=True)
class WebhookSeen:
    """A stored webhook without its body. `is_handled`: a refresh has followed it."""

    message_id: str
    event: str | None
    received_at: datetime
    last_received_at: datetime
    received_count: int
    is_handled: bool


@dataclass(frozen=True, kw_only=True)
class DeliverySeen:
    """The delivery of an event to a subscription."""

    subscription_id: UUID
    event_id: UUID
    type: str
    state: Literal["pending", "delivered", "dead"]
    failed_attempts: int
    created_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Functions of higher floors that find entries about a flow or a user, passed in by `processes/wiring`.

    Each returns the latest entries, at most the given number, oldest first.
    """

    webhooks_about: Callable[[AsyncConnection, Subject, int], Awaitable[list[WebhookSeen]]]
    deliveries_about: Callable[[AsyncConnection, Subject, int], Awaitable[list[DeliverySeen]]]


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """What happened to a flow and its user. Each list is oldest first for the flow, then for the user."""

    flow: FlowRecord
    webhooks: list[WebhookSeen]
    refreshes: list[RefreshRecord]
    events: list[EventRecord]
    deliveries: list[DeliverySeen]

    def without(self, types: Collection[str]) -> Self:
        """Return the timeline without events of these types and their deliveries."""
        return replace(
            self,
            events=[event for event in self.events if event.type not in types],
            deliveries=[delivery for delivery in self.deliveries if delivery.type not in types],
        )


async def read_timeline(
    engine: AsyncEngine, neighbours: Neighbours, flow_id: str, *, with_deliveries: bool
) -> Timeline:
    """Return the timeline of a flow and its user, if it has one. Raises FlowNotFoundError."""
    async with database.transaction(engine) as connection:
        flow = await flow_rows.find(connection, flow_id)
        if flow is None:
            raise FlowNotFoundError
        subjects = [Subject(app=flow.app, kind="flow", id=flow_id)]
        if flow.user_id is not None:
            subjects.append(Subject(app=flow.app, kind="user", id=flow.user_id))
        timeline = Timeline(flow=flow, webhooks=[], refreshes=[], events=[], deliveries=[])
        for subject in subjects:
            timeline.webhooks.extend(await neighbours.webhooks_about(connection, subject, ENTRIES_LIMIT))
            timeline.refreshes.extend(await refresh_rows.about(connection, subject, limit=ENTRIES_LIMIT))
            found = await event_rows.about(connection, subject.app, str(subject), limit=ENTRIES_LIMIT)
            timeline.events.extend(found)
            if with_deliveries:
                timeline.deliveries.extend(await neighbours.deliveries_about(connection, subject, ENTRIES_LIMIT))
        return timeline
