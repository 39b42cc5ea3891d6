"""Our events: the only constructors there are, the names, and who may see them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from app.flows.verdict import Verdict

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


@dataclass(frozen=True, kw_only=True)
class FlowFacts:
    """What every event of a flow carries."""

    app: str
    flow_id: str
    reference: str | None
    user_id: str | None


@dataclass(frozen=True, kw_only=True)
class FlowName:
    """A flow as its caller knows it; `reference` is None for flows made elsewhere."""

    flow_id: str
    reference: str | None


@dataclass(frozen=True, kw_only=True)
class UserFacts:
    """What every event of a user carries: whose it is, and the flows it concerns, newest first."""

    app: str
    user_id: str
    flows: Sequence[FlowName] = ()


def flow_created(flow: FlowFacts, at: datetime) -> Event:
    """The flow exists at Dots and is known here."""
    return _flow_event(flow, FLOW_CREATED, at)


def flow_claimed(flow: FlowFacts, at: datetime) -> Event:
    """A user has taken a flow that was made without one."""
    return _flow_event(flow, FLOW_CLAIMED, at)


def step_completed(flow: FlowFacts, at: datetime, *, step: str) -> Event:
    """The payee has completed a step; for a background check that means handed in, not passed."""
    return _flow_event(flow, STEP_COMPLETED, at, discriminator=step, step=step)


def flow_completed(flow: FlowFacts, at: datetime, *, passed_over: Sequence[str] = ()) -> Event:
    """Every step of the flow is done but those that were passed over, which are only named if there are any."""
    more: dict[str, Any] = {"passed_over": list(passed_over)} if passed_over else {}
    return _flow_event(flow, FLOW_COMPLETED, at, **more)


def id_verified(user: UserFacts, at: datetime) -> Event:
    """Dots has verified the user's identity for the first time."""
    return _user_event(user, ID_VERIFIED, at)


def verdict_settled(
    user: UserFacts, at: datetime, *, verdict: Verdict, previous: Verdict | None, settlement: int
) -> Event:
    """A background check has ended; `settlement` counts from 1, and a reversal is a further event."""
    kind = CHECK_FLAGGED if verdict is Verdict.FLAGGED else CHECK_CLEARED
    return _user_event(user, kind, at, discriminator=str(settlement), previous=previous and previous.value)


def review_needed(user: UserFacts, at: datetime, *, check_status: str, previous: Verdict | None) -> Event:
    """A background check has ended or halted without a finding; one event for each of Dots' statuses."""
    return _user_event(
        user,
        CHECK_NEEDS_REVIEW,
        at,
        discriminator=check_status,
        check_status=check_status,
        previous=previous and previous.value,
    )


def matching(patterns: Iterable[str]) -> frozenset[str]:
    """The types that patterns such as `dots.flow.completed`, `dots.flow.*` or `*` stand for; may be empty."""
    return frozenset(
        kind
        for pattern in patterns
        for kind in TYPES
        if kind == pattern or (pattern.endswith("*") and kind.startswith(pattern[:-1]))
    )


def _flow_event(flow: FlowFacts, kind: str, at: datetime, *, discriminator: str = "", **more: Any) -> Event:
    data = {"flow_id": flow.flow_id, "reference": flow.reference, "user_id": flow.user_id, **more}
    return _event(flow.app, kind, f"flow/{flow.flow_id}", at, discriminator=discriminator, data=data)


def _user_event(user: UserFacts, kind: str, at: datetime, *, discriminator: str = "", **more: Any) -> Event:
    flows = [{"flow_id": flow.flow_id, "reference": flow.reference} for flow in user.flows]
    data = {"user_id": user.user_id, **more, "flows": flows}
    return _event(user.app, kind, f"user/{user.user_id}", at, discriminator=discriminator, data=data)


def _event(app: str, kind: str, subject: str, at: datetime, *, data: dict[str, Any], discriminator: str = "") -> Event:
    # JSON keeps the parts apart, so that no two different facts can share an id.
    identity = uuid5(_NAMESPACE, json.dumps([app, kind, subject, discriminator]))
    return Event(id=identity, app=app, type=kind, subject=subject, occurred_at=at, data=data)
