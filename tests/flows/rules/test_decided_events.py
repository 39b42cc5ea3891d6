"""The events of a decision, in full. `test_decide` shows which events follow from what."""

from datetime import UTC, datetime

import pytest

from app.dots.snapshots import FlowSnapshot, UserSnapshot
from app.feed.events import Event
from app.flows.rules import decide, events
from app.flows.rules.decide import KnownFlow, KnownUser, Rules
from app.flows.rules.events import FlowFacts, FlowName, UserFacts
from app.flows.rules.progress import Progress
from app.flows.rules.verdict import UserState, Verdict

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
STEPS = ("compliance", "payout")
FLOW = FlowFacts(app="default", flow_id="flow-1", reference="payee-17", user_id="user-1")
IDENTITY_FLOWS, CHECK_FLOWS = [FlowName(flow_id="flow-1", reference="a")], [FlowName(flow_id="flow-2", reference="b")]
IDENTITY = UserFacts(app="default", user_id="user-1", flows=IDENTITY_FLOWS)
CHECK = UserFacts(app="default", user_id="user-1", flows=CHECK_FLOWS)


def user_says(*, older_check_failed: bool | None) -> UserSnapshot:
    """A user with a verified identity, whose background check passed."""
    return UserSnapshot(
        id="user-1",
        status="verified",
        id_verified=True,
        check_status="pass",
        has_criminal_activity=False,
        older_check_failed=older_check_failed,
    )


def test_flow_events_are_complete() -> None:
    """Each event has the app, the flow, its user, the time and its own facts."""
    known = KnownFlow(
        app="default", reference="payee-17", progress=Progress(steps=STEPS), created_at=NOW, last_sequence=0
    )
    snapshot = FlowSnapshot(
        id="flow-1",
        steps=STEPS,
        completed_steps=("payout",),
        user_id="user-1",
        link=None,
        metadata=None,
        client_ref=None,
        payout_link_id=None,
        created_at=None,
    )

    decision = decide.decide_flow(known, snapshot, NOW, rules=Rules(may_pass_over=True))

    assert decision.events == [
        events.flow_created(FLOW, NOW),
        events.flow_claimed(FLOW, NOW),
        events.step_completed(FLOW, NOW, step="payout"),
        events.flow_completed(FLOW, NOW, passed_over=["compliance"]),
    ]


@pytest.mark.parametrize(
    ("before", "older_check_failed", "event"),
    [
        (
            UserState(verdict=Verdict.FLAGGED, verdict_count=1),
            None,
            events.verdict_settled(CHECK, NOW, verdict=Verdict.CLEARED, previous=Verdict.FLAGGED, settlement=2),
        ),
        (
            UserState(verdict=Verdict.CLEARED, verdict_count=1),
            True,
            events.review_needed(CHECK, NOW, check_status="pass", previous=Verdict.CLEARED),
        ),
    ],
)
def test_user_events_are_complete(*, before: UserState, older_check_failed: bool | None, event: Event) -> None:
    """Each event has the app, the user, its own flows, the time and its own facts. The new state comes with them."""
    known = KnownUser(app="default", id="user-1", user_state=before)
    flows = {"id-verification": IDENTITY_FLOWS, "background-check": CHECK_FLOWS}

    decision = decide.decide_user(
        known, user_says(older_check_failed=older_check_failed), NOW, rules=Rules(), flows=flows
    )

    assert decision.events == [events.id_verified(IDENTITY, NOW), event]
    assert decision.user_state.was_id_verified
