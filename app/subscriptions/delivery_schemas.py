"""Deliveries and their attempts as JSON."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field, StrictBool
from pydantic.config import JsonDict

from app.flows.schemas import Text
from app.subscriptions.delivery_search import DeliverySummary
from app.subscriptions.read_deliveries import DeliveryHistory
from app.subscriptions.rules.deliveries import Attempt
from app.subscriptions.rules.subscriptions import PATTERNS_LIMIT, DeliveryState
from app.web import examples
from app.web.examples import strict
from app.web.lists import HasMore, NextCursor
from app.web.moments import Moment

_DELIVERY: JsonDict = {
    "event_id": examples.EVENT_ID,
    "type": "dots.flow.step_completed",
    "app": "default",
    "subject": f"flow/{examples.FLOW_ID}",
    "state": "dead",
    "failed_attempts": 10,
    "created_at": "2026-11-23T12:00:00Z",
    "settled_at": "2026-11-26T19:35:05Z",
    "last_error": "status_500",
}
_ATTEMPT: JsonDict = {"attempted_at": "2026-11-26T19:35:05Z", "status": 500, "error": "status_500", "took_ms": 12}


class DeliveryResponse(BaseModel):
    """The delivery of one event to one subscription."""

    model_config = strict(_DELIVERY)

    event_id: UUID
    """The id of the event."""
    type: str
    """The type of the event."""
    app: str
    """The Dots app of the event."""
    subject: str
    """What the event is about."""
    state: DeliveryState
    """`pending`, `delivered`, or `dead` (given up)."""
    failed_attempts: int
    """How many attempts failed."""
    created_at: datetime
    """When the delivery was created (UTC)."""
    settled_at: datetime | None
    """When it was delivered or given up (UTC). Null until then."""
    last_error: str | None
    """The error code of the last failed attempt. Null if none failed."""

    @classmethod
    def of(cls, delivery: DeliverySummary) -> Self:
        """Build the response for a stored delivery."""
        fields = asdict(delivery)
        return cls.model_validate({name: fields[name] for name in cls.model_fields})


class AttemptResponse(BaseModel):
    """One attempt to send an event."""

    model_config = strict(_ATTEMPT)

    attempted_at: datetime
    """When the attempt began (UTC)."""
    status: int | None
    """The receiver's HTTP status. Null if it sent none."""
    error: str | None
    """The error code. Null if the event was delivered."""
    took_ms: int
    """The duration in milliseconds."""

    @classmethod
    def of(cls, attempt: Attempt) -> Self:
        """Build the response for a stored attempt."""
        return cls(
            attempted_at=attempt.attempted_at,
            status=attempt.status,
            error=attempt.error,
            took_ms=round(attempt.took / timedelta(milliseconds=1)),
        )


class DeliveryWithAttempts(BaseModel):
    """A delivery and its latest attempts."""

    model_config = strict({"delivery": _DELIVERY, "attempts": [_ATTEMPT]})

    delivery: DeliveryResponse
    """The delivery."""
    attempts: list[AttemptResponse]
    """The latest attempts, oldest first. Attempts before a redelivery are included."""

    @classmethod
    def of(cls, history: DeliveryHistory) -> Self:
        """Build the response for a delivery with its attempts."""
        return cls(
            delivery=DeliveryResponse.of(history.delivery),
            attempts=[AttemptResponse.of(attempt) for attempt in history.attempts],
        )


class DeliveryPage(BaseModel):
    """A page of deliveries, latest events first.

    A page searches a bounded number of deliveries. It may be short or empty and still have a next page.
    """

    model_config = strict({"deliveries": [_DELIVERY], "next_cursor": None, "has_more": False})

    deliveries: list[DeliveryResponse]
    """The deliveries of this page."""
    next_cursor: NextCursor
    has_more: HasMore


class RedeliverEventsRequest(BaseModel):
    """The events to send again."""

    model_config = strict({"since": "2026-11-23T06:00:00Z", "types": ["dots.flow.*"], "dry_run": False})

    since: Annotated[Moment, Field(description="Only events that occurred at this time or later.")]
    until: Annotated[
        Moment | None, Field(description="Only events that occurred before this time. Null: no limit.")
    ] = None
    types: Annotated[
        list[Text] | None,
        Field(
            min_length=1,
            max_length=PATTERNS_LIMIT,
            description="Only these types. Null: all types of the subscription.",
        ),
    ] = None
    after: Annotated[str | None, Field(description="`next_cursor` of the call before. Null: the first call.")] = None
    dry_run: StrictBool = True
    """Whether to count the events only and send nothing."""


class RedeliveryResponse(BaseModel):
    """How many events match. They are pending now, unless this was a dry run.

    A call searches a bounded number of events, also in a dry run. Call again until `next_cursor` is null.
    """

    model_config = strict({"again": 40, "fresh": 2, "subjects": 17, "dry_run": True, "next_cursor": None})

    again: int
    """How many events were sent before and match."""
    fresh: int
    """How many events were never sent and match."""
    subjects: int
    """How many flows and users the matching events are about."""
    dry_run: bool
    """Whether this call only counted."""
    next_cursor: str | None
    """Pass it as `after` in the next call. Null after the last call."""
