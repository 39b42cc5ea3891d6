"""Addresses and messages of events at a broker."""

import json

from app.brokers import addressing
from app.feed import cloudevents, events
from tests.feed.sample_events import compliance_event, flow_event

ADDRESSES = {
    events.FLOW_CREATED: "dots.flow.created",
    events.FLOW_CLAIMED: "dots.flow.claimed",
    events.STEP_COMPLETED: "dots.flow.step_completed",
    events.FLOW_COMPLETED: "dots.flow.completed",
    events.ID_VERIFIED: "dots.user.id_verified",
    events.CHECK_CLEARED: "compliance.dots.background_check.cleared",
    events.CHECK_FLAGGED: "compliance.dots.background_check.flagged",
    events.CHECK_NEEDS_REVIEW: "compliance.dots.background_check.needs_review",
}


def test_every_type_has_its_documented_address() -> None:
    """Consumers subscribe to these addresses. A new type must be added here."""
    assert {kind: addressing.address(kind) for kind in events.TYPES} == ADDRESSES


def test_body_is_the_envelope() -> None:
    """The body is the CloudEvent in UTF-8, and the key is the subject."""
    event = flow_event()

    message = addressing.message(event)

    assert message.key == "flow/f1"
    assert message.id == str(event.id)
    assert json.loads(message.body) == cloudevents.envelope(event)
    assert "Zahlung-é".encode() in message.body
    assert not message.is_compliance


def test_compliance_message_is_recognized() -> None:
    """A message about a background check says that it needs compliance:read."""
    assert addressing.message(compliance_event()).is_compliance
