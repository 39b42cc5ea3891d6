"""The timeline of a flow as JSON."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field

from app.flows import read_timeline
from app.flows.schemas import DiscoveredBy
from app.web import examples


class WebhookEntry(BaseModel):
    """Dots sent a webhook."""

    model_config = examples.shown(examples.entry("webhook"))

    kind: Literal["webhook"] = "webhook"
    """The kind of entry."""
    at: datetime
    """When the webhook first arrived (UTC)."""
    message_id: str
    """Dots' id of the webhook."""
    event: str | None
    """Dots' name of what happened. Null if the webhook names nothing."""
    received_count: int
    """How many times the webhook arrived."""
    last_received_at: datetime
    """When it last arrived (UTC)."""
    handled: bool
    """Whether a refresh has followed the webhook."""


class RefreshEntry(BaseModel):
    """The gateway asked Dots for the current state."""

    model_config = examples.shown(examples.entry("refresh"))

    kind: Literal["refresh"] = "refresh"
    """The kind of entry."""
    at: datetime
    """When the refresh ended (UTC)."""
    due_by: DiscoveredBy
    """What made the refresh due."""
    outcome: str
    """`changed`, `unchanged`, or an error code."""


class StepEntry(BaseModel):
    """The gateway found a step completed."""

    model_config = examples.shown(examples.entry("step"))

    kind: Literal["step"] = "step"
    """The kind of entry."""
    at: datetime
    """When the gateway found the step completed (UTC)."""
    step: str
    """Dots' name of the step."""
    discovered_by: DiscoveredBy | None
    """What made the gateway look. Null if not known."""


class EventEntry(BaseModel):
    """The gateway reported an event."""

    model_config = examples.shown(examples.entry("event"))

    kind: Literal["event"] = "event"
    """The kind of entry."""
    at: datetime
    """When the event occurred (UTC)."""
    event_id: UUID
    """The id of the event."""
    type: str
    """The type of the event."""
    subject: str
    """What the event is about."""
    position: int | None
    """The position in the feed. Null until the event has one."""


class DeliveryEntry(BaseModel):
    """The delivery of an event to a subscription. Only keys with `subscriptions:admin` see it."""

    model_config = examples.shown(examples.entry("delivery"))

    kind: Literal["delivery"] = "delivery"
    """The kind of entry."""
    at: datetime
    """When the delivery was created (UTC)."""
    subscription_id: UUID
    """The id of the subscription."""
    event_id: UUID
    """The id of the event."""
    type: str
    """The type of the event."""
    state: Literal["pending", "delivered", "dead"]
    """`pending`, `delivered`, or `dead`: given up."""
    failed_attempts: int
    """How many attempts failed."""
    settled_at: datetime | None
    """When it was delivered or given up (UTC). Null until then."""


Entry = Annotated[WebhookEntry | RefreshEntry | StepEntry | EventEntry | DeliveryEntry, Field(discriminator="kind")]


class Timeline(BaseModel):
    """What happened to a flow and its user, oldest first."""

    model_config = examples.shown(examples.TIMELINE)

    flow_id: str
    """Dots' id of the flow."""
    entries: list[Entry]
    """What happened, oldest first."""

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
