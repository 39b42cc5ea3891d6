"""Events as the database returns them."""

from datetime import UTC, datetime

from app.feed.events import Event, EventRecord
from app.flows.rules import events
from app.flows.rules.events import FlowFacts, UserFacts
from app.flows.rules.verdict import Verdict

NOON = datetime(2026, 11, 22, 12, 0, 0, 5000, tzinfo=UTC)


def flow_event(position: int = 1, *, flow_id: str = "f1") -> EventRecord:
    """The completion of a step of a flow. Each position has another step."""
    facts = FlowFacts(app="default", flow_id=flow_id, reference="Zahlung-é", user_id=None)
    return stored(events.step_completed(facts, NOON, step=f"step-{position}"), position)


def compliance_event(position: int = 1) -> EventRecord:
    """A flagged background check."""
    user = UserFacts(app="default", user_id="u1")
    event = events.verdict_settled(user, NOON, verdict=Verdict.FLAGGED, previous=None, settlement=position)
    return stored(event, position)


def stored(event: Event, position: int) -> EventRecord:
    """The event with this sequence and position."""
    return EventRecord(
        id=event.id,
        app=event.app,
        type=event.type,
        subject=event.subject,
        sequence=position,
        occurred_at=event.occurred_at,
        data=event.data,
        position=position,
    )
