"""Subscriptions as JSON."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, field_validator
from pydantic.config import JsonDict
from pydantic.json_schema import SkipJsonSchema

from app.flows.schemas import Text
from app.subscriptions.keep_secrets import RotatedSecret
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

Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]*$"),
    Field(description="Where to POST events; SUBSCRIBERS_ALLOWED in the gateway's settings must list it."),
]
Types = Annotated[
    list[Text],
    Field(
        min_length=1,
        max_length=PATTERNS_LIMIT,
        description="Types such as `dots.flow.completed`, or patterns: `dots.flow.*`, `*`.",
    ),
]
Description = Annotated[
    str,
    StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00]*$"),
    Field(description="For people."),
]
App = Annotated[Text, Field(description="Only events of this Dots app; null: of every one.")]

_SECRET = "whsec_EXAMPLEexampleEXAMPLEexampleEXAMPLEexample0="  # noqa: S105  # an example, and of no subscription
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


def strict(*examples: JsonDict) -> ConfigDict:
    """The configuration of a shape that has these fields and no others."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(examples)})


class SubscriptionOrder(BaseModel):
    """A subscription to make. `with_compliance`: with events of background checks; needs `compliance:read`."""

    model_config = strict(_REQUEST)

    url: Url
    types: Types
    app: App | None = None
    description: Description | None = None
    with_compliance: StrictBool = False

    def as_request(self) -> SubscriptionRequest:
        """The same in the words of the rules."""
        return SubscriptionRequest(**self.model_dump())


class SubscriptionPatch(BaseModel):
    """What is to be different; what is left out stays. Null takes `app` or `description` away."""

    model_config = strict({"types": ["dots.flow.completed"], "description": None})

    url: Url | SkipJsonSchema[None] = None
    types: Types | SkipJsonSchema[None] = None
    app: App | None = None
    description: Description | None = None

    @field_validator("url", "types", mode="before")
    @classmethod
    def _is_there(cls, value: object) -> object:
        if value is None:
            raise ValueError("may be left out, but not null")
        return value

    def as_change(self) -> SubscriptionChange:
        """The same in the words of the rules."""
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


class SubscriptionShape(BaseModel):
    """A subscription. While `paused` its deliveries are made, and wait.

    `paused_by`: a `caller`, `gone` (it answered 410), or `failing` (nothing has succeeded for days). `failing_since`:
    every attempt since then has failed. Nothing is sent before `held_until`.
    """

    model_config = strict(_SUBSCRIPTION)

    id: UUID
    url: str
    types: list[str]
    app: str | None
    description: str | None
    with_compliance: bool
    caller: str
    status: Literal["active", "paused"]
    paused_by: PausedBy | None
    paused_at: datetime | None
    failing_since: datetime | None
    held_until: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, subscription: Subscription) -> Self:
        """The shape of a stored subscription."""
        return cls.model_validate(_fields(subscription))


class SubscriptionWithSecret(SubscriptionShape):
    """A subscription just made; `secret` verifies its messages (Standard Webhooks) and is never shown again."""

    model_config = strict({**_SUBSCRIPTION, "secret": _SECRET})

    secret: str

    @classmethod
    def of_new(cls, made: NewSubscription) -> Self:
        """The shape of a subscription just made."""
        return cls.model_validate({**_fields(made.subscription), "secret": made.secret})


class SubscriptionPage(BaseModel):
    """Subscriptions, newest first; give `next_cursor` as `after` for the next page, null when there is none."""

    model_config = strict({"subscriptions": [_SUBSCRIPTION], "next_cursor": None, "has_more": False})

    subscriptions: list[SubscriptionShape]
    next_cursor: str | None
    has_more: bool


class SecretShape(BaseModel):
    """A new secret, never shown again. Until `previous_until` messages are signed with the one before as well."""

    model_config = strict({"secret": _SECRET, "previous_until": "2026-11-24T12:00:00Z"})

    secret: str
    previous_until: datetime

    @classmethod
    def of(cls, rotated: RotatedSecret) -> Self:
        """The shape of a secret just made."""
        return cls(secret=rotated.secret, previous_until=rotated.previous_until)


class AttemptedTest(BaseModel):
    """What came of a test event: the receiver's HTTP `status`, or null with the code of what was wrong in `error`."""

    __test__ = False  # Not a test.
    model_config = strict({"delivered": False, "status": 500, "error": "status_500", "took_ms": 12})

    delivered: bool
    status: int | None
    error: str | None
    took_ms: int

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """The shape of an answer."""
        return cls(
            delivered=answer.error is None,
            status=answer.status,
            error=None if answer.error is None else str(answer.error),
            took_ms=round(answer.took.total_seconds() * 1000),
        )


def _fields(subscription: Subscription) -> dict[str, object]:
    names = [name for name in SubscriptionShape.model_fields if name not in ("types", "status")]
    return {
        **{name: getattr(subscription, name) for name in names},
        "types": list(subscription.types),
        "status": "paused" if subscription.is_paused else "active",
    }
