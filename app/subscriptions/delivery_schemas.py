"""Deliveries and their attempts as JSON."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field, StrictBool
from pydantic.config import JsonDict

from app.flows.schemas import Text
from app.subscriptions.delivery_search import DeliverySummary
from app.subscriptions.read_deliveries import DeliveryStory
from app.subscriptions.rules.deliveries import Attempt
from app.subscriptions.rules.subscriptions import PATTERNS_LIMIT, DeliveryState
from app.subscriptions.schemas import strict
from app.web import examples
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


class DeliveryShape(BaseModel):
    """An event on its way; `last_error` is why the last attempt failed; `dead` is given up."""

    model_config = strict(_DELIVERY)

    event_id: UUID
    type: str
    app: str
    subject: str
    state: DeliveryState
    failed_attempts: int
    created_at: datetime
    settled_at: datetime | None
    last_error: str | None

    @classmethod
    def of(cls, delivery: DeliverySummary) -> Self:
        """The shape of a stored delivery."""
        fields = asdict(delivery)
        return cls.model_validate({name: fields[name] for name in cls.model_fields})


class AttemptShape(BaseModel):
    """One try to send: the receiver's HTTP `status`, null when none came; `error` is null when it was delivered."""

    model_config = strict(_ATTEMPT)

    attempted_at: datetime
    status: int | None
    error: str | None
    took_ms: int

    @classmethod
    def of(cls, attempt: Attempt) -> Self:
        """The shape of a stored attempt."""
        return cls(
            attempted_at=attempt.attempted_at,
            status=attempt.status,
            error=attempt.error,
            took_ms=round(attempt.took / timedelta(milliseconds=1)),
        )


class DeliveryWithAttempts(BaseModel):
    """A delivery and its latest attempts, oldest of them first; those before a redelivery are among them."""

    model_config = strict({"delivery": _DELIVERY, "attempts": [_ATTEMPT]})

    delivery: DeliveryShape
    attempts: list[AttemptShape]

    @classmethod
    def of(cls, story: DeliveryStory) -> Self:
        """The shape of a delivery's story."""
        return cls(
            delivery=DeliveryShape.of(story.delivery),
            attempts=[AttemptShape.of(attempt) for attempt in story.attempts],
        )


class DeliveryPage(BaseModel):
    """Deliveries, of the latest events first; give `next_cursor` as `after` for the next page, null at the end.

    A page looks at a bounded number of deliveries, so it may hold few that match, or none, and still not be the last.
    """

    model_config = strict({"deliveries": [_DELIVERY], "next_cursor": None, "has_more": False})

    deliveries: list[DeliveryShape]
    next_cursor: str | None
    has_more: bool


class RedeliveryBody(BaseModel):
    """Which events to send once more; a dry run, which is the default, only counts them."""

    model_config = strict({"since": "2026-11-23T06:00:00Z", "types": ["dots.flow.*"], "dry_run": False})

    since: Annotated[Moment, Field(description="Events that occurred then or later.")]
    until: Annotated[Moment | None, Field(description="Events that occurred before then.")] = None
    types: Annotated[
        list[Text] | None,
        Field(min_length=1, max_length=PATTERNS_LIMIT, description="Of these alone; null: all of the subscription."),
    ] = None
    after: Annotated[str | None, Field(description="`next_cursor` of the call before.")] = None
    dry_run: StrictBool = True


class RedeliveryShape(BaseModel):
    """How many events match: sent before (`again`) or never (`fresh`), about so many flows and users.

    They are pending now unless it was a dry run. A call looks at a bounded number of events, a dry run too; go on with
    `next_cursor` until it is null.
    """

    model_config = strict({"again": 40, "fresh": 2, "subjects": 17, "dry_run": True, "next_cursor": None})

    again: int
    fresh: int
    subjects: int
    dry_run: bool
    next_cursor: str | None
