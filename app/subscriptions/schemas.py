"""Subscriptions as JSON."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, StrictBool, StringConstraints, field_validator
from pydantic.config import JsonDict
from pydantic.json_schema import SkipJsonSchema

from app.flows.schemas import Text
from app.subscriptions.manage_secrets import RotatedSecret
from app.subscriptions.manage_subscriptions import NewSubscription
from app.subscriptions.push.answers import Answer
from app.subscriptions.rules.subscriptions import (
    PATTERNS_LIMIT,
    PausedBy,
    Subscription,
    SubscriptionChange,
    SubscriptionRequest,
)
from app.web import examples
from app.web.examples import strict
from app.web.lists import HasMore, NextCursor

Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]*$"),
    Field(description="Where to POST events. The gateway's setting SUBSCRIBERS_ALLOWED must allow it."),
]
Types = Annotated[
    list[Text],
    Field(
        min_length=1,
        max_length=PATTERNS_LIMIT,
        description="Event types such as `dots.flow.completed`, or patterns such as `dots.flow.*` and `*`.",
    ),
]
_ShortText = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
Description = Annotated[_ShortText | None, Field(description="A text for people. Null: none.")]
App = Annotated[Text | None, Field(description="Only events of this Dots app. Null: of every app.")]

_SECRET = "whsec_EXAMPLEexampleEXAMPLEexampleEXAMPLEexample0="  # noqa: S105  # an example, not a real secret
_REQUEST: JsonDict = {
    "url": "https://orders.svc.cluster.local/dots-events",
    "types": ["dots.flow.*"],
    "description": "Orders wait for onboarded payees",
}
_SUBSCRIPTION: JsonDict = {
    "id": examples.SUBSCRIPTION_ID,
    "url": "https://orders.svc.cluster.local/dots-events",
    "types": ["dots.flow.*"],
    "app": None,
    "description": "Orders wait for onboarded payees",
    "with_compliance": False,
    "caller": "orders",
    "status": "active",
    "paused_by": None,
    "paused_at": None,
    "failing_since": None,
    "held_until": None,
    "created_at": "2026-11-23T12:00:00Z",
}


class CreateSubscriptionRequest(BaseModel):
    """A subscription to create."""

    model_config = strict(_REQUEST)

    url: Url
    types: Types
    app: App = None
    description: Description = None
    with_compliance: StrictBool = False
    """Whether to send events of background checks. Needs `compliance:read`."""

    def as_request(self) -> SubscriptionRequest:
        """Convert to the rules' type."""
        return SubscriptionRequest(**self.model_dump())


class SubscriptionPatch(BaseModel):
    """The fields to change. Absent fields stay as they are. Null removes `app` or `description`."""

    model_config = strict({"types": ["dots.flow.completed"], "description": None})

    url: Url | SkipJsonSchema[None] = None
    types: Types | SkipJsonSchema[None] = None
    app: App = None
    description: Description = None

    @field_validator("url", "types", mode="before")
    @classmethod
    def _not_null(cls, value: object) -> object:
        if value is None:
            raise ValueError("must not be null")
        return value

    def as_change(self) -> SubscriptionChange:
        """Convert to the rules' type."""
        change: SubscriptionChange = {}
        if self.url is not None:
            change["url"] = self.url
        if self.types is not None:
            change["types"] = tuple(self.types)
        if "app" in self.model_fields_set:
            change["app"] = self.app
        if "description" in self.model_fields_set:
            change["description"] = self.description
        return change


class SubscriptionResponse(BaseModel):
    """A subscription."""

    model_config = strict(_SUBSCRIPTION)

    id: UUID
    """The id of the subscription."""
    url: str
    """Where events are sent."""
    types: list[str]
    """Event types, or patterns of them."""
    app: str | None
    """Only events of this Dots app are sent. Null: of every app."""
    description: str | None
    """A text for people. Null if there is none."""
    with_compliance: bool
    """Whether events of background checks are sent."""
    caller: str
    """The name of the API key that created the subscription."""
    status: Literal["active", "paused"]
    """`active`, or `paused`: deliveries are created but not sent."""
    paused_by: PausedBy | None
    """`caller`, `gone` (the receiver answered 410) or `failing` (every attempt failed for days). Null if active."""
    paused_at: datetime | None
    """When the subscription was paused (UTC). Null if active."""
    failing_since: datetime | None
    """Every attempt since then has failed (UTC). Null if the last attempt succeeded."""
    held_until: datetime | None
    """Nothing is sent before this time (UTC). Null if nothing holds deliveries back."""
    created_at: datetime
    """When the subscription was created (UTC)."""

    @classmethod
    def of(cls, subscription: Subscription) -> Self:
        """Build the response for a stored subscription."""
        return cls.model_validate(_fields(subscription))


class SubscriptionWithSecret(SubscriptionResponse):
    """A new subscription with its secret."""

    model_config = strict({**_SUBSCRIPTION, "secret": _SECRET})

    secret: str
    """The secret that verifies messages (Standard Webhooks). It is never shown again."""

    @classmethod
    def of_new(cls, made: NewSubscription) -> Self:
        """Build the response for a new subscription."""
        return cls.model_validate({**_fields(made.subscription), "secret": made.secret})


class SubscriptionPage(BaseModel):
    """A page of subscriptions, newest first."""

    model_config = strict({"subscriptions": [_SUBSCRIPTION], "next_cursor": None, "has_more": False})

    subscriptions: list[SubscriptionResponse]
    """The subscriptions of this page."""
    next_cursor: NextCursor
    has_more: HasMore


class SecretResponse(BaseModel):
    """A new secret of a subscription."""

    model_config = strict({"secret": _SECRET, "previous_until": "2026-11-24T12:00:00Z"})

    secret: str
    """The new secret. It is never shown again."""
    previous_until: datetime
    """Until then messages are signed with the previous secret as well (UTC)."""

    @classmethod
    def of(cls, rotated: RotatedSecret) -> Self:
        """Build the response for a new secret."""
        return cls(secret=rotated.secret, previous_until=rotated.previous_until)


class AttemptedTest(BaseModel):
    """The outcome of a test event."""

    __test__ = False  # pytest must not collect it.
    model_config = strict({"delivered": False, "status": 500, "error": "status_500", "took_ms": 12})

    delivered: bool
    """Whether the receiver accepted the event."""
    status: int | None
    """The receiver's HTTP status. Null if it sent none."""
    error: str | None
    """The error code. Null if the event was delivered."""
    took_ms: int
    """The duration in milliseconds."""

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """Build the response for the outcome of a push."""
        return cls(
            delivered=answer.error is None,
            status=answer.status,
            error=None if answer.error is None else str(answer.error),
            took_ms=round(answer.took.total_seconds() * 1000),
        )


def _fields(subscription: Subscription) -> dict[str, object]:
    names = [name for name in SubscriptionResponse.model_fields if name not in ("types", "status")]
    return {
        **{name: getattr(subscription, name) for name in names},
        "types": list(subscription.types),
        "status": "paused" if subscription.is_paused else "active",
    }
