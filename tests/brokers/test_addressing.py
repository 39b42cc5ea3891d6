"""Addresses and messages of events at a broker."""

import json

import pytest

from app.brokers import addressing
from app.feed import cloudevents, events
from tests.feed.sample_events import compliance_event, flow_event

ADDRESSES = [
    (events.FLOW_CREATED, "dots.flow.created"),
    (events.FLOW_CLAIMED, "dots.flow.claimed"),
    (events.STEP_COMPLETED, "dots.flow.step_completed"),
    (events.FLOW_COMPLETED, "dots.flow.completed"),
    (events.ID_VERIFIED, "dots.user.id_verified"),
    (events.CHECK_CLEARED, "compliance.dots.background_check.cleared"),
    (events.CHECK_FLAGGED, "compliance.dots.background_check.flagged"),
    (events.CHECK_NEEDS_REVIEW, "compliance.dots.background_check.needs_review"),
]


@pytest.mark.parametrize(("kind", "address"), ADDRESSES)
def test_every_type_has_its_address(kind: str, address: str) -> None:
    """Each type has the address that consumers were promised."""
    assert addressing.address(kind) == address


def test_there_is_a_case_for_every_type() -> None:
    """A new type must be added to the table above."""
    assert {kind for kind, _ in ADDRESSES} == set(events.TYPES)


def test_a_message_is_the_envelope_in_bytes() -> None:
    """The body is what push sends, readable as UTF-8; the key is the subject."""
    event = flow_event()

    message = addressing.message(event)

    assert message.key == "flow/f1"
    assert message.id == str(event.id)
    assert json.loads(message.body) == cloudevents.envelope(event)
    assert "Zahlung-é".encode() in message.body
    assert not message.is_compliance


def test_compliance_shows_in_the_message() -> None:
    """The address alone tells whether access rules must guard the message."""
    assert addressing.message(compliance_event()).is_compliance
