"""The timeline of a flow as JSON."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field

from app.flows import read_timeline
from app.flows.schemas import DiscoveredBy
from app.web import examples


class WebhookEntry(BaseModel):
    """Dots sent a webhook; `handled` once Dots was asked what it meant."""

    kind: Literal["webhook"] = "webhook"
    at: datetime
    message_id: str
    event: str | None
    received_count: int
    last_received_at: datetime
    handled: bool


class RefreshEntry(BaseModel):
    """Dots was asked; `outcome` is `grown`, `unchanged`, or the code of an error."""

    kind: Literal["refresh"] = "refresh"
    at: datetime
    due_by: DiscoveredBy
    outcome: str


class StepEntry(BaseModel):
    """A step was found completed."""

    kind: Literal["step"] = "step"
    at: datetime
    step: str
    discovered_by: DiscoveredBy | None


class EventEntry(BaseModel):
    """An event was told to others; `position` in the feed is null until it is there."""

    kind: Literal["event"] = "event"
    at: datetime
    event_id: UUID
    type: str
    subject: str
    position: int | None


class DeliveryEntry(BaseModel):
    """An event was, or is to be, sent to a subscription; only keys with subscriptions:admin see it."""

    kind: Literal["delivery"] = "delivery"
    at: datetime
    subscription_id: UUID
    event_id: UUID
    type: str
    state: Literal["pending", "delivered", "dead"]
    failed_attempts: int
    settled_at: datetime | None


Entry = Annotated[WebhookEntry | RefreshEntry | StepEntry | EventEntry | DeliveryEntry, Field(discriminator="kind")]


class Timeline(BaseModel):
    """What happened to a flow and its user, oldest first."""

    model_config = examples.shown(examples.TIMELINE)

    flow_id: str
    entries: list[Entry]

    @classmethod
    def of(cls, found: read_timeline.Timeline) -> Self:
        """The timeline as JSON."""
        entries: list[Entry] = [
            *(
                WebhookEntry(
                    at=webhook.received_at,
                    message_id=webhook.message_id,
                    event=webhook.event,
                    received_count=webhook.received_count,
                    last_received_at=webhook.last_received_at,
                    handled=webhook.is_handled,
                )
                for webhook in found.webhooks
            ),
            *(
                RefreshEntry(at=refresh.ended_at, due_by=refresh.due_by, outcome=refresh.outcome)
                for refresh in found.refreshes
            ),
            *(
                StepEntry(at=step.completed_at, step=step.name, discovered_by=step.discovered_by)
                for step in found.flow.steps
                if step.completed_at
            ),
            *(
                EventEntry(
                    at=event.occurred_at,
                    event_id=event.id,
                    type=event.type,
                    subject=event.subject,
                    position=event.position,
                )
                for event in found.events
            ),
            *(
                DeliveryEntry(
                    at=delivery.created_at,
                    subscription_id=delivery.subscription_id,
                    event_id=delivery.event_id,
                    type=delivery.type,
                    state=delivery.state,
                    failed_attempts=delivery.failed_attempts,
                    settled_at=delivery.settled_at,
                )
                for delivery in found.deliveries
            ),
        ]
        return cls(flow_id=found.flow.id or "", entries=sorted(entries, key=lambda entry: entry.at))
