"""Events for other services: their fields, their types, and the sensitive types."""

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

# Even these names are sensitive, so the events reach only readers with compliance:read.
COMPLIANCE_TYPES = frozenset({CHECK_CLEARED, CHECK_FLAGGED, CHECK_NEEDS_REVIEW})

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:dots-gateway:events")


@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact that other services may act on. The same fact always has the same id."""

    id: UUID
    app: str
    type: str
    subject: str
    occurred_at: datetime
    data: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class EventRecord:
    """A stored event. `sequence` counts within the subject, `position` within the feed (None: not numbered yet)."""

    id: UUID
    app: str
    type: str
    subject: str
    sequence: int
    occurred_at: datetime
    data: dict[str, Any]
    position: int | None


def describe(*, app: str, type_: str, subject: str, at: datetime, data: dict[str, Any], discriminator: str) -> Event:
    """Build an event. The discriminator distinguishes events of one type about one subject."""
    # JSON separates the parts unambiguously, so two different facts never share an id.
    identity = uuid5(_NAMESPACE, json.dumps([app, type_, subject, discriminator]))
    return Event(id=identity, app=app, type=type_, subject=subject, occurred_at=at, data=data)


def matching(patterns: Iterable[str]) -> frozenset[str]:
    """The types that match patterns such as `dots.flow.completed`, `dots.flow.*` or `*`. May be empty."""
    return frozenset(
        kind
        for pattern in patterns
        for kind in TYPES
        if kind == pattern or (pattern.endswith("*") and kind.startswith(pattern[:-1]))
    )
