"""Builds the events of flows and users. No other code builds them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.feed.events import (
    CHECK_CLEARED,
    CHECK_FLAGGED,
    CHECK_NEEDS_REVIEW,
    FLOW_CLAIMED,
    FLOW_COMPLETED,
    FLOW_CREATED,
    ID_VERIFIED,
    STEP_COMPLETED,
    Event,
    describe,
)
from app.flows.rules.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class FlowFacts:
    """The data in every event of a flow."""

    app: str
    flow_id: str
    reference: str | None
    user_id: str | None


@dataclass(frozen=True, kw_only=True)
class FlowName:
    """A flow's ids. `reference` is None for flows created elsewhere."""

    flow_id: str
    reference: str | None


@dataclass(frozen=True, kw_only=True)
class UserFacts:
    """The data in every event of a user, with the flows it concerns, newest first."""

    app: str
    user_id: str
    flows: Sequence[FlowName] = ()


def flow_created(flow: FlowFacts, at: datetime) -> Event:
    """The flow exists at Dots and is known here."""
    return _flow_event(flow, FLOW_CREATED, at)


def flow_claimed(flow: FlowFacts, at: datetime) -> Event:
    """A user has claimed a flow that was created without one."""
    return _flow_event(flow, FLOW_CLAIMED, at)


def step_completed(flow: FlowFacts, at: datetime, *, step: str) -> Event:
    """The payee has completed a step. A completed background check is submitted, not passed."""
    return _flow_event(flow, STEP_COMPLETED, at, discriminator=step, step=step)


def flow_completed(flow: FlowFacts, at: datetime, *, passed_over: Sequence[str] = ()) -> Event:
    """Every step of the flow is done or passed over. The event names the steps that were passed over, if any."""
    more: dict[str, Any] = {"passed_over": list(passed_over)} if passed_over else {}
    return _flow_event(flow, FLOW_COMPLETED, at, **more)


def id_verified(user: UserFacts, at: datetime) -> Event:
    """Dots has verified the user's identity for the first time."""
    return _user_event(user, ID_VERIFIED, at)


def verdict_settled(
    user: UserFacts, at: datetime, *, verdict: Verdict, previous: Verdict | None, settlement: int
) -> Event:
    """A background check has a verdict. `settlement` counts the verdicts from 1; a reversal is one more."""
    kind = CHECK_FLAGGED if verdict is Verdict.FLAGGED else CHECK_CLEARED
    return _user_event(user, kind, at, discriminator=str(settlement), previous=previous and previous.value)


def review_needed(user: UserFacts, at: datetime, *, check_status: str, previous: Verdict | None) -> Event:
    """A background check has ended or halted without a finding. Each of Dots' statuses gives one event."""
    return _user_event(
        user,
        CHECK_NEEDS_REVIEW,
        at,
        discriminator=check_status,
        check_status=check_status,
        previous=previous and previous.value,
    )


def _flow_event(flow: FlowFacts, type_: str, at: datetime, *, discriminator: str = "", **more: Any) -> Event:
    data = {"flow_id": flow.flow_id, "reference": flow.reference, "user_id": flow.user_id, **more}
    return describe(
        app=flow.app, type_=type_, subject=f"flow/{flow.flow_id}", at=at, data=data, discriminator=discriminator
    )


def _user_event(user: UserFacts, type_: str, at: datetime, *, discriminator: str = "", **more: Any) -> Event:
    flows = [{"flow_id": flow.flow_id, "reference": flow.reference} for flow in user.flows]
    data = {"user_id": user.user_id, **more, "flows": flows}
    return describe(
        app=user.app, type_=type_, subject=f"user/{user.user_id}", at=at, data=data, discriminator=discriminator
    )
