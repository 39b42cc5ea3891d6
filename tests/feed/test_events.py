from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from app.feed import events
from app.feed.events import Event
from app.flows.rules import events as flow_events
from app.flows.rules.events import FlowFacts, FlowName, UserFacts
from app.flows.rules.verdict import Verdict

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FLOW = FlowFacts(app="default", flow_id="flow-1", reference="payee-17", user_id="user-1")
USER = UserFacts(app="default", user_id="user-1", flows=[FlowName(flow_id="flow-1", reference="payee-17")])
FLOWS = [{"flow_id": "flow-1", "reference": "payee-17"}]


def settled(verdict: Verdict, settlement: int) -> Event:
    """A verdict of one user."""
    return flow_events.verdict_settled(USER, NOON, verdict=verdict, previous=None, settlement=settlement)


def review(check_status: str) -> Event:
    """A check of one user needs review."""
    return flow_events.review_needed(USER, NOON, check_status=check_status, previous=None)


# Consumers recognize events by these ids, and a rebuilt feed has the same ids. They must never change.
# The data holds ids, the step and the previous verdict, and nothing personal.
FLOW_DATA = {"flow_id": "flow-1", "reference": "payee-17", "user_id": "user-1"}
USER_DATA = {"user_id": "user-1", "flows": FLOWS}
FACTS: list[tuple[Callable[[], Event], str, str, dict[str, Any]]] = [
    (
        lambda: flow_events.flow_created(FLOW, NOON),
        "dots.flow.created",
        "d2de2b86-166f-5267-86b2-e983aa5e6f2f",
        FLOW_DATA,
    ),
    (
        lambda: flow_events.flow_claimed(FLOW, NOON),
        "dots.flow.claimed",
        "cf998e6b-2947-567a-a5a1-a1d833ac3d49",
        FLOW_DATA,
    ),
    (
        lambda: flow_events.step_completed(FLOW, NOON, step="compliance"),
        "dots.flow.step_completed",
        "eb7ede18-7615-5832-93e5-f6f21b5a7ed4",
        {**FLOW_DATA, "step": "compliance"},
    ),
    (
        lambda: flow_events.flow_completed(FLOW, NOON),
        "dots.flow.completed",
        "6d93ace1-6c51-5abb-983c-dff611ef8165",
        FLOW_DATA,
    ),
    (
        lambda: flow_events.id_verified(USER, NOON),
        "dots.user.id_verified",
        "c36673ca-65de-588e-8fa2-a4350d461a7d",
        USER_DATA,
    ),
    (
        lambda: settled(Verdict.CLEARED, 1),
        "dots.background_check.cleared",
        "56dfefcd-0cee-53a0-88d3-4329f33b495c",
        {**USER_DATA, "previous": None},
    ),
    (
        lambda: settled(Verdict.FLAGGED, 2),
        "dots.background_check.flagged",
        "ec1e7cfe-4b51-5f93-a6cc-3bea310cdb47",
        {**USER_DATA, "previous": None},
    ),
    (
        lambda: review("consider"),
        "dots.background_check.needs_review",
        "1911c531-041e-5c59-9d1f-5cbf7f0cd14a",
        {**USER_DATA, "check_status": "consider", "previous": None},
    ),
]


@pytest.mark.parametrize(("make", "kind", "identity", "data"), FACTS, ids=[kind for _, kind, _, _ in FACTS])
def test_event_never_changes(make: Callable[[], Event], kind: str, identity: str, data: dict[str, Any]) -> None:
    """A changed formula of the id would make every consumer handle every event again."""
    subject = "flow/flow-1" if kind.startswith("dots.flow.") else "user/user-1"

    assert make() == Event(id=UUID(identity), app="default", type=kind, subject=subject, occurred_at=NOON, data=data)


def test_different_facts_have_different_ids() -> None:
    """No two facts share an id. The time does not change the id."""
    facts = [
        *(make() for make, _, _, _ in FACTS),
        flow_events.step_completed(FLOW, NOON, step="payout"),
        flow_events.flow_created(FlowFacts(app="eu", flow_id="flow-1", reference=None, user_id=None), NOON),
        flow_events.flow_created(FlowFacts(app="default", flow_id="flow-2", reference=None, user_id=None), NOON),
        settled(Verdict.CLEARED, 3),
        review("expired"),
    ]
    later = flow_events.flow_created(FLOW, NOON.replace(hour=13))

    assert len({event.id for event in facts}) == len(facts)
    assert later.id == facts[0].id


def test_reversal_names_the_previous_verdict() -> None:
    """A consumer that acted on the first verdict learns that it was reversed."""
    event = flow_events.verdict_settled(USER, NOON, verdict=Verdict.CLEARED, previous=Verdict.FLAGGED, settlement=2)
    reviewed = flow_events.review_needed(USER, NOON, check_status="consider", previous=Verdict.CLEARED)

    assert event.data == {**USER_DATA, "previous": "flagged"}
    assert reviewed.data == {**USER_DATA, "check_status": "consider", "previous": "cleared"}


def test_flow_completed_names_passed_over_steps() -> None:
    """The id is the same with and without passed-over steps."""
    event = flow_events.flow_completed(FLOW, NOON, passed_over=["compliance"])

    assert event.data == {**FLOW_DATA, "passed_over": ["compliance"]}
    assert event.id == flow_events.flow_completed(FLOW, NOON).id


def test_every_type_has_a_constructor() -> None:
    """The constructors make every type in TYPES, and COMPLIANCE_TYPES holds the background checks."""
    assert [kind for _, kind, _, _ in FACTS] == list(events.TYPES)
    assert {kind for kind in events.TYPES if "background_check" in kind} == events.COMPLIANCE_TYPES


FLOW_TYPES = {"dots.flow.created", "dots.flow.claimed", "dots.flow.step_completed", "dots.flow.completed"}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["*"], set(events.TYPES)),
        (["dots.*"], set(events.TYPES)),
        (["dots.flow.*"], FLOW_TYPES),
        (["dots.flow.c*"], {"dots.flow.created", "dots.flow.claimed", "dots.flow.completed"}),
        (["dots.flow.completed"], {"dots.flow.completed"}),
        (["dots.flow.completed", "dots.user.*"], {"dots.flow.completed", "dots.user.id_verified"}),
        (["dots.flow"], set()),
        (["dots.flow.complete"], set()),
        (["*.completed"], set()),
        ([""], set()),
        ([], set()),
    ],
    ids=lambda value: " ".join(sorted(value)),
)
def test_patterns_match_types(patterns: list[str], expected: set[str]) -> None:
    """A star at the end matches any rest. A star elsewhere matches nothing."""
    assert events.matching(patterns) == expected
