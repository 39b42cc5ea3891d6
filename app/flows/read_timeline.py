"""Read a flow's timeline: what happened to the flow and its user, and when."""

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

# The most entries of one kind, the latest. A flow has dozens; a storm of webhooks could make it thousands.
ENTRIES_LIMIT = 200


@dataclass(frozen=True, kw_only=True)
class WebhookSeen:
    """A stored webhook without its body; `is_handled` once a refresh has seen what it announced."""

    message_id: str
    event: str | None
    received_at: datetime
    last_received_at: datetime
    received_count: int
    is_handled: bool


@dataclass(frozen=True, kw_only=True)
class DeliverySeen:
    """A delivery of one of the events, to any subscription."""

    subscription_id: UUID
    event_id: UUID
    type: str
    state: Literal["pending", "delivered", "dead"]
    failed_attempts: int
    created_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Finds what other subjects know about a flow or a user: at most `limit` entries, the latest, oldest first.

    They belong to higher floors, so `processes/wiring` passes them in.
    """

    webhooks_about: Callable[[AsyncConnection, Subject, int], Awaitable[list[WebhookSeen]]]
    deliveries_about: Callable[[AsyncConnection, Subject, int], Awaitable[list[DeliverySeen]]]


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Everything that happened to a flow and its user; each list oldest first."""

    flow: FlowRecord
    webhooks: list[WebhookSeen]
    refreshes: list[RefreshRecord]
    events: list[EventRecord]
    deliveries: list[DeliverySeen]

    def without(self, types: Collection[str]) -> Self:
        """The same for a reader who must not know of events of these types."""
        return replace(
            self,
            events=[event for event in self.events if event.type not in types],
            deliveries=[delivery for delivery in self.deliveries if delivery.type not in types],
        )


async def read_timeline(
    engine: AsyncEngine, neighbours: Neighbours, flow_id: str, *, with_deliveries: bool
) -> Timeline:
    """The timeline of a flow and, once it has one, its user. Raises FlowNotFoundError."""
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
