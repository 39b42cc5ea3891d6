"""Subscriptions: their fields, the events they get, and the form and lifetime of their secrets."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypedDict
from uuid import UUID

from app.errors import FieldProblem
from app.feed import events

# caller: paused by a request; gone: it answered 410; failing: no attempt has succeeded for days.
PausedBy = Literal["caller", "gone", "failing"]
DeliveryState = Literal["pending", "delivered", "dead"]

TEST_TYPE = "dots.subscription.test"
PATTERNS_LIMIT = 50

SECRET_BYTES = 32
# A receiver needs the new and the previous secret. Further rotations within 24 hours are limited to this.
LIVE_SECRETS_LIMIT = 4
ROTATION = timedelta(hours=24)
"""How long a replaced secret still signs."""


@dataclass(frozen=True, kw_only=True)
class SubscriptionRequest:
    """A subscription to create. `app` None: events of every app."""

    url: str
    types: Sequence[str]
    app: str | None = None
    description: str | None = None
    with_compliance: bool = False


class SubscriptionChange(TypedDict, total=False):
    """The fields to change. Absent fields stay unchanged."""

    url: str
    types: tuple[str, ...]
    app: str | None
    description: str | None


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """A subscription. `types` are patterns: a type, or a prefix of types followed by `*`.

    Every attempt since `failing_since` has failed. The circuit breaker opened at `opened_at`. No delivery is sent
    before `held_until`. Attempts before `closed_at` do not count for the breaker.
    """

    id: UUID
    caller: str
    description: str | None
    url: str
    types: tuple[str, ...]
    app: str | None
    with_compliance: bool
    created_at: datetime
    paused_at: datetime | None
    paused_by: PausedBy | None
    failing_since: datetime | None
    opened_at: datetime | None
    held_until: datetime | None
    closed_at: datetime | None

    @property
    def is_paused(self) -> bool:
        """Whether deliveries wait."""
        return self.paused_at is not None


def subject_of(subscription_id: UUID) -> str:
    """The subject of test events. The subscription's secrets are bound to it."""
    return f"subscription/{subscription_id}"


def allowed_types(*, with_compliance: bool) -> frozenset[str]:
    """The types that such a subscription may get."""
    return frozenset(events.TYPES) - (frozenset() if with_compliance else events.COMPLIANCE_TYPES)


def wanted_types(subscription: Subscription) -> frozenset[str]:
    """The types that the subscription gets. Compliance events need `with_compliance`, whatever the patterns."""
    return events.matching(subscription.types) & allowed_types(with_compliance=subscription.with_compliance)


def check_types(patterns: Sequence[str], *, with_compliance: bool) -> list[FieldProblem]:
    """The problems of the patterns. Each must match at least one type that the subscription may get."""
    if not 0 < len(patterns) <= PATTERNS_LIMIT:
        return [FieldProblem("types", f"must be 1 to {PATTERNS_LIMIT} types or patterns")]
    allowed = allowed_types(with_compliance=with_compliance)
    problems: list[FieldProblem] = []
    for index, pattern in enumerate(patterns):
        matched = events.matching([pattern])
        if matched & allowed:
            continue
        known = ", ".join(kind for kind in events.TYPES if kind in allowed)
        message = "needs with_compliance" if matched else f"matches no event type; the types are {known}"
        problems.append(FieldProblem(f"types.{index}", message))
    return problems


def write_secret(key: bytes) -> str:
    """The secret in the form of Standard Webhooks: `whsec_` and base64."""
    return f"whsec_{base64.b64encode(key).decode()}"
