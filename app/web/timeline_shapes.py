"""The story of a flow as JSON."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field

from app.actions.read_flows import Story
from app.flows.subscriptions import DeliveryState
from app.web import examples
from app.web.flow_shapes import DiscoveredBy


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
    state: DeliveryState
    failed_attempts: int
    settled_at: datetime | None


Entry = Annotated[WebhookEntry | RefreshEntry | StepEntry | EventEntry | DeliveryEntry, Field(discriminator="kind")]


class Timeline(BaseModel):
    """What happened to a flow and its user, oldest first."""

    model_config = examples.shown(examples.TIMELINE)

    flow_id: str
    entries: list[Entry]

    @classmethod
    def of(cls, story: Story) -> Self:
        """The shape of a story."""
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
                for webhook in story.webhooks
            ),
            *(
                RefreshEntry(at=refresh.ended_at, due_by=refresh.due_by, outcome=refresh.outcome)
                for refresh in story.refreshes
            ),
            *(
                StepEntry(at=step.completed_at, step=step.name, discovered_by=step.discovered_by)
                for step in story.flow.steps
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
                for event in story.events
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
                for delivery in story.deliveries
            ),
        ]
        return cls(flow_id=story.flow.id or "", entries=sorted(entries, key=lambda entry: entry.at))
