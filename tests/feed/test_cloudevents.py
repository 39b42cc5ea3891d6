"""The envelope of events, held against the CloudEvents SDK and our published schemas."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cloudevents.core.formats.json import JSONFormat
from jsonschema import Draft202012Validator

from app.feed import cloudevents, events
from app.feed.events import Event, EventRecord
from app.flows.rules import events as flow_events
from app.flows.rules.events import FlowFacts, FlowName, UserFacts
from app.flows.rules.verdict import Verdict

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


def stored(event: Event, sequence: int = 3) -> EventRecord:
    """The event as it comes out of the database."""
    return EventRecord(
        id=event.id,
        app=event.app,
        type=event.type,
        subject=event.subject,
        sequence=sequence,
        occurred_at=event.occurred_at,
        data=event.data,
        position=9,
    )


def test_an_event_is_enveloped_as_written_here() -> None:
    """The envelope is exactly what consumers were promised."""
    event = stored(flow_events.step_completed(FLOW, NOON, step="compliance"))

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


def test_there_is_a_case_for_every_type() -> None:
    """A type that is added must be added here too."""
    assert {event.type for event in EVERY_EVENT} == set(events.TYPES)


@pytest.mark.parametrize("event", EVERY_EVENT, ids=lambda event: event.type)
def test_the_official_sdk_reads_it(event: Event) -> None:
    """The CloudEvents SDK parses every event and finds the same attributes."""
    envelope = cloudevents.envelope(stored(event))

    parsed = JSONFormat().read(None, json.dumps(envelope))

    assert parsed.get_id() == str(event.id)
    assert parsed.get_type() == event.type
    assert parsed.get_subject() == event.subject
    assert parsed.get_time() == NOON
    assert parsed.get_data() == event.data


@pytest.mark.parametrize("event", EVERY_EVENT, ids=lambda event: event.type)
def test_the_data_fits_its_published_schema(event: Event) -> None:
    """What is sent is what docs/events says, under the name that the event gives."""
    name = str(cloudevents.envelope(stored(event))["dataschema"]).removeprefix("urn:dots-gateway:schemas/")
    schema = json.loads((SCHEMAS / name).read_text())

    Draft202012Validator.check_schema(schema)
    Draft202012Validator({**schema, "additionalProperties": False}).validate(event.data)

    assert schema["$id"] == f"urn:dots-gateway:schemas/{name}"


def test_it_is_encoded_the_same_every_time() -> None:
    """The bytes are UTF-8 of the envelope, without escapes and spaces, so that copies can be told by comparing."""
    event = stored(flow_events.flow_created(FlowFacts(app="default", flow_id="f1", reference="é", user_id=None), NOON))

    encoded = cloudevents.encoded(event)

    assert encoded == cloudevents.encoded(event)
    assert json.loads(encoded) == cloudevents.envelope(event)
    assert '"reference":"é"'.encode() in encoded
