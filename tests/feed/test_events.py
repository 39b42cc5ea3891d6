import json
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

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


# Consumers know events by these ids, and a rebuilt feed has to have the same ones: they may never change.
IDS = [
    (flow_events.flow_created(FLOW, NOON), "d2de2b86-166f-5267-86b2-e983aa5e6f2f"),
    (flow_events.flow_claimed(FLOW, NOON), "cf998e6b-2947-567a-a5a1-a1d833ac3d49"),
    (flow_events.step_completed(FLOW, NOON, step="compliance"), "eb7ede18-7615-5832-93e5-f6f21b5a7ed4"),
    (flow_events.flow_completed(FLOW, NOON), "6d93ace1-6c51-5abb-983c-dff611ef8165"),
    (flow_events.id_verified(USER, NOON), "c36673ca-65de-588e-8fa2-a4350d461a7d"),
    (settled(Verdict.CLEARED, 1), "56dfefcd-0cee-53a0-88d3-4329f33b495c"),
    (settled(Verdict.FLAGGED, 2), "ec1e7cfe-4b51-5f93-a6cc-3bea310cdb47"),
    (review("consider"), "1911c531-041e-5c59-9d1f-5cbf7f0cd14a"),
]


@pytest.mark.parametrize(("event", "expected"), IDS, ids=lambda value: getattr(value, "type", None))
def test_id_is_the_same_for_ever(event: Event, expected: str) -> None:
    """Written out, because a change of formula would tell every consumer everything a second time."""
    assert str(event.id) == expected


def test_id_follows_from_what_is_stated() -> None:
    """UUIDv5 of app, type, subject and discriminator, as anybody can compute it."""
    namespace = uuid5(NAMESPACE_URL, "urn:dots-gateway:events")
    stated = json.dumps(["default", "dots.flow.step_completed", "flow/flow-1", "compliance"])

    assert flow_events.step_completed(FLOW, NOON, step="compliance").id == uuid5(namespace, stated)


def test_ids_differ_where_facts_do() -> None:
    """No two facts share an id; the same fact at another time is the same."""
    facts = [
        *(event for event, _ in IDS),
        flow_events.step_completed(FLOW, NOON, step="payout"),
        flow_events.flow_created(FlowFacts(app="eu", flow_id="flow-1", reference=None, user_id=None), NOON),
        flow_events.flow_created(FlowFacts(app="default", flow_id="flow-2", reference=None, user_id=None), NOON),
        settled(Verdict.CLEARED, 3),
        review("expired"),
    ]
    later = flow_events.flow_created(FLOW, NOON.replace(hour=13))

    assert len({event.id for event in facts}) == len(facts)
    assert later.id == facts[0].id


def test_payloads_are_thin() -> None:
    """Ids, the step, the verdict told before; nothing personal."""
    data = {event.type: event.data for event, _ in IDS}

    flow = {"flow_id": "flow-1", "reference": "payee-17", "user_id": "user-1"}
    assert data == {
        "dots.flow.created": flow,
        "dots.flow.claimed": flow,
        "dots.flow.step_completed": {**flow, "step": "compliance"},
        "dots.flow.completed": flow,
        "dots.user.id_verified": {"user_id": "user-1", "flows": FLOWS},
        "dots.background_check.cleared": {"user_id": "user-1", "previous": None, "flows": FLOWS},
        "dots.background_check.flagged": {"user_id": "user-1", "previous": None, "flows": FLOWS},
        "dots.background_check.needs_review": {
            "user_id": "user-1",
            "check_status": "consider",
            "previous": None,
            "flows": FLOWS,
        },
    }


def test_reversal_says_what_was_told_before() -> None:
    """A consumer that has acted on the first verdict has to know."""
    event = flow_events.verdict_settled(USER, NOON, verdict=Verdict.CLEARED, previous=Verdict.FLAGGED, settlement=2)

    assert event.data == {"user_id": "user-1", "previous": "flagged", "flows": FLOWS}


def test_flow_completed_names_the_steps_that_were_passed_over() -> None:
    """Only if there are any; it is the same event then as without."""
    event = flow_events.flow_completed(FLOW, NOON, passed_over=["compliance"])

    assert event.data["passed_over"] == ["compliance"]
    assert event.id == flow_events.flow_completed(FLOW, NOON).id


def test_every_type_has_its_constructor() -> None:
    """The list of types is the list of what can happen."""
    assert [event.type for event, _ in IDS] == list(events.TYPES)
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
def test_patterns_stand_for_types(patterns: list[str], expected: set[str]) -> None:
    """A star at the end stands for any rest; a star elsewhere for nothing."""
    assert events.matching(patterns) == expected
