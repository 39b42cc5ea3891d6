"""Events as CloudEvents, checked with the CloudEvents SDK and the published schemas."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cloudevents.core.formats.json import JSONFormat
from jsonschema import Draft202012Validator

from app.feed import cloudevents, events
from app.feed.events import Event
from app.flows.rules import events as flow_events
from app.flows.rules.events import FlowFacts, FlowName, UserFacts
from app.flows.rules.verdict import Verdict
from tests.feed.sample_events import stored

SCHEMAS = Path(__file__).parents[2] / "docs" / "events"
NOON = datetime(2026, 11, 22, 12, 0, 0, 5000, tzinfo=UTC)
FLOW = FlowFacts(app="default", flow_id="f1", reference="payee-17", user_id=None)
USER = UserFacts(app="default", user_id="u1", flows=[FlowName(flow_id="f1", reference=None)])
EVERY_EVENT = [
    flow_events.flow_created(FLOW, NOON),
    flow_events.flow_claimed(FLOW, NOON),
    flow_events.step_completed(FLOW, NOON, step="compliance"),
    flow_events.flow_completed(FLOW, NOON),
    flow_events.flow_completed(FLOW, NOON, passed_over=["compliance"]),
    flow_events.id_verified(USER, NOON),
    flow_events.verdict_settled(USER, NOON, verdict=Verdict.CLEARED, previous=None, settlement=1),
    flow_events.verdict_settled(USER, NOON, verdict=Verdict.FLAGGED, previous=Verdict.CLEARED, settlement=2),
    flow_events.review_needed(USER, NOON, check_status="consider", previous=None),
    flow_events.review_needed(USER, NOON, check_status="pass", previous=Verdict.CLEARED),
]


def test_envelope_has_the_documented_fields() -> None:
    """The envelope has exactly these fields and values."""
    event = stored(flow_events.step_completed(FLOW, NOON, step="compliance"), 3)

    assert cloudevents.envelope(event) == {
        "specversion": "1.0",
        "id": "3d92084b-a452-5afd-9bf6-d32be4d659e7",
        "source": "/dots-gateway/default",
        "type": "dots.flow.step_completed",
        "subject": "flow/f1",
        "time": "2026-11-22T12:00:00.005000Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:dots-gateway:schemas/flow.step_completed/v1.json",
        "sequence": "3",
        "data": {"flow_id": "f1", "reference": "payee-17", "user_id": None, "step": "compliance"},
    }


def test_cases_cover_every_type() -> None:
    """A new event type needs a case here."""
    assert {event.type for event in EVERY_EVENT} == set(events.TYPES)


@pytest.mark.parametrize("event", EVERY_EVENT, ids=lambda event: event.type)
def test_sdk_parses_every_event(event: Event) -> None:
    """The CloudEvents SDK parses every event and returns the same attributes."""
    envelope = cloudevents.envelope(stored(event, 3))

    parsed = JSONFormat().read(None, json.dumps(envelope))

    assert parsed.get_id() == str(event.id)
    assert parsed.get_type() == event.type
    assert parsed.get_subject() == event.subject
    assert parsed.get_time() == NOON
    assert parsed.get_data() == event.data


@pytest.mark.parametrize("event", EVERY_EVENT, ids=lambda event: event.type)
def test_data_matches_its_published_schema(event: Event) -> None:
    """The data matches the schema in docs/events that `dataschema` names, without further fields."""
    name = str(cloudevents.envelope(stored(event, 3))["dataschema"]).removeprefix("urn:dots-gateway:schemas/")
    schema = json.loads((SCHEMAS / name).read_text())

    Draft202012Validator.check_schema(schema)
    Draft202012Validator({**schema, "additionalProperties": False}).validate(event.data)

    assert schema["$id"] == f"urn:dots-gateway:schemas/{name}"


def test_encoding_is_stable() -> None:
    """The bytes are compact UTF-8 JSON, and the same every time, so consumers can compare copies."""
    event = stored(
        flow_events.flow_created(FlowFacts(app="default", flow_id="f1", reference="é", user_id=None), NOON), 3
    )

    encoded = cloudevents.encoded(event)

    assert encoded == cloudevents.encoded(event)
    assert json.loads(encoded) == cloudevents.envelope(event)
    assert '"reference":"é"'.encode() in encoded
