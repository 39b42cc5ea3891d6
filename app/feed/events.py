"""Events for other services: what one is, the names of all types, and which of them are sensitive."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

FLOW_CREATED = "dots.flow.created"
FLOW_CLAIMED = "dots.flow.claimed"
STEP_COMPLETED = "dots.flow.step_completed"
FLOW_COMPLETED = "dots.flow.completed"
ID_VERIFIED = "dots.user.id_verified"
CHECK_CLEARED = "dots.background_check.cleared"
CHECK_FLAGGED = "dots.background_check.flagged"
CHECK_NEEDS_REVIEW = "dots.background_check.needs_review"

TYPES = (
    FLOW_CREATED,
    FLOW_CLAIMED,
    STEP_COMPLETED,
    FLOW_COMPLETED,
    ID_VERIFIED,
    CHECK_CLEARED,
    CHECK_FLAGGED,
    CHECK_NEEDS_REVIEW,
)

# Their very names say something about a person, so they reach only readers with compliance:read.
COMPLIANCE_TYPES = frozenset({CHECK_CLEARED, CHECK_FLAGGED, CHECK_NEEDS_REVIEW})

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:dots-gateway:events")


@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact other services may act on. Its id follows from what it states, so stating it twice changes nothing."""

    id: UUID
    app: str
    type: str
    subject: str
    occurred_at: datetime
    data: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class EventRecord:
    """An event as stored; `sequence` counts 1, 2, 3, … in its subject, `position` in the feed (None: not yet)."""

    id: UUID
    app: str
    type: str
    subject: str
    sequence: int
    occurred_at: datetime
    data: dict[str, Any]
    position: int | None


def describe(*, app: str, type_: str, subject: str, at: datetime, data: dict[str, Any], discriminator: str) -> Event:
    """An event about `subject`. The discriminator tells apart events of one type about one subject."""
    # JSON keeps the parts apart, so that no two different facts can share an id.
    identity = uuid5(_NAMESPACE, json.dumps([app, type_, subject, discriminator]))
    return Event(id=identity, app=app, type=type_, subject=subject, occurred_at=at, data=data)


def matching(patterns: Iterable[str]) -> frozenset[str]:
    """The types that patterns such as `dots.flow.completed`, `dots.flow.*` or `*` stand for; may be empty."""
    return frozenset(
        kind
        for pattern in patterns
        for kind in TYPES
        if kind == pattern or (pattern.endswith("*") and kind.startswith(pattern[:-1]))
    )
