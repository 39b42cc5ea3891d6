"""Subscriptions as rules see them: what one is, which events it gets, how its secrets are written and retired."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypedDict
from uuid import UUID

from app.errors import FieldProblem
from app.feed import events

# caller: somebody paused it; gone: it answered 410; failing: no attempt has succeeded for days.
PausedBy = Literal["caller", "gone", "failing"]
DeliveryState = Literal["pending", "delivered", "dead"]

TEST_TYPE = "dots.subscription.test"
PATTERNS_LIMIT = 50

SECRET_BYTES = 32
# A receiver needs the new secret and the one before; more than these is a rotation gone wild.
LIVE_SECRETS_LIMIT = 4
ROTATION = timedelta(hours=24)
"""How long a secret goes on signing beside the one that replaced it."""


@dataclass(frozen=True, kw_only=True)
class SubscriptionRequest:
    """A subscription as a caller wants it; `app` None: events of every app."""

    url: str
    types: Sequence[str]
    app: str | None = None
    description: str | None = None
    with_compliance: bool = False


class SubscriptionChange(TypedDict, total=False):
    """What is to be different; what is absent stays."""

    url: str
    types: tuple[str, ...]
    app: str | None
    description: str | None


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """Where events are sent to; `types` are patterns, each a type or the beginning of some and a `*`.

    `failing_since`: since when every attempt has failed. `opened_at`, `held_until`, `closed_at` are the circuit
    breaker's: open since, nothing is sent before, attempts before do not count.
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
        """Whether its deliveries wait."""
        return self.paused_at is not None


def subject_of(subscription_id: UUID) -> str:
    """What events about the subscription itself are about, and what its secrets are bound to."""
    return f"subscription/{subscription_id}"


def allowed_types(*, with_compliance: bool) -> frozenset[str]:
    """Every type that a subscription of this kind may get."""
    return frozenset(events.TYPES) - (frozenset() if with_compliance else events.COMPLIANCE_TYPES)


def wanted_types(subscription: Subscription) -> frozenset[str]:
    """The types that the subscription gets: never compliance events without the right, whatever its patterns."""
    return events.matching(subscription.types) & allowed_types(with_compliance=subscription.with_compliance)


def check_types(patterns: Sequence[str], *, with_compliance: bool) -> list[FieldProblem]:
    """What is wrong with the patterns; empty when each stands for at least one type that the subscription may get."""
    if not 0 < len(patterns) <= PATTERNS_LIMIT:
        return [FieldProblem("types", f"must be 1 to {PATTERNS_LIMIT} types or patterns")]
    allowed = allowed_types(with_compliance=with_compliance)
    problems: list[FieldProblem] = []
    for index, pattern in enumerate(patterns):
        matched = events.matching([pattern])
        if matched & allowed:
            continue
        known = ", ".join(kind for kind in events.TYPES if kind in allowed)
        message = "needs with_compliance" if matched else f"matches no event type; there are {known}"
        problems.append(FieldProblem(f"types.{index}", message))
    return problems


def write_secret(key: bytes) -> str:
    """The secret as receivers are given it: `whsec_` and base64, which every Standard Webhooks library takes."""
    return f"whsec_{base64.b64encode(key).decode()}"
