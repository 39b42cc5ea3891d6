import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

import dots_gateway_client
from app.feed import cloudevents, event_schemas, events
from app.feed.events import EventRecord
from app.flows.rules import events as flow_events
from app.flows.rules.events import FlowFacts, UserFacts
from app.flows.rules.events import FlowName as ServiceFlowName
from app.flows.rules.verdict import Verdict
from dots_gateway_client import (
    CheckCleared,
    CheckFlagged,
    CheckNeedsReview,
    Event,
    FlowClaimed,
    FlowCompleted,
    FlowCreated,
    FlowName,
    IdVerified,
    MalformedEventError,
    StepCompleted,
    SubscriptionTest,
    UnknownEvent,
)
from dots_gateway_client import events as client_events
from tests.clients.script import envelope
from tests.dots.fake_dots import NOW, USER

SCHEMAS = list(event_schemas.published().values())
FACTS = FlowFacts(app="eu", flow_id="flow-1", reference=None, user_id=USER)
USER_FACTS = UserFacts(
    app="eu",
    user_id=USER,
    flows=[ServiceFlowName(flow_id="flow-2", reference="payee-17"), ServiceFlowName(flow_id="flow-1", reference=None)],
)

EVERY_EVENT = [
    (flow_events.flow_created(FACTS, NOW), FlowCreated),
    (flow_events.flow_claimed(FACTS, NOW), FlowClaimed),
    (flow_events.step_completed(FACTS, NOW, step="compliance"), StepCompleted),
    (flow_events.flow_completed(FACTS, NOW), FlowCompleted),
    (flow_events.flow_completed(FACTS, NOW, passed_over=["compliance", "payout"]), FlowCompleted),
    (flow_events.id_verified(USER_FACTS, NOW), IdVerified),
    (flow_events.verdict_settled(USER_FACTS, NOW, verdict=Verdict.CLEARED, previous=None, settlement=1), CheckCleared),
    (
        flow_events.verdict_settled(USER_FACTS, NOW, verdict=Verdict.FLAGGED, previous=Verdict.CLEARED, settlement=2),
        CheckFlagged,
    ),
    (flow_events.review_needed(USER_FACTS, NOW, check_status="consider", previous=None), CheckNeedsReview),
    (
        events.Event(
            id=UUID(int=9),
            app="eu",
            type="dots.subscription.test",
            subject="subscription/9",
            occurred_at=NOW,
            data={"subscription_id": "9"},
        ),
        SubscriptionTest,
    ),
]


def reported(event: events.Event) -> dict[str, Any]:
    """The service's CloudEvent for this event, with sequence 3."""
    record = EventRecord(
        id=event.id,
        app=event.app,
        type=event.type,
        subject=event.subject,
        sequence=3,
        occurred_at=event.occurred_at,
        data=event.data,
        position=7,
    )
    return cloudevents.envelope(record)


def test_every_schema_has_its_dataclass() -> None:
    """The client has exactly the events of the service, and exports all of them."""
    described = {schema["$id"] for schema in SCHEMAS}

    assert len(described) >= len(events.TYPES)
    assert set(client_events.KINDS) == described
    assert {getattr(dots_gateway_client, kind.__name__) for kind in client_events.KINDS.values()} == {
        kind for _, kind in EVERY_EVENT
    }


@pytest.mark.parametrize("schema", SCHEMAS, ids=[schema["title"] for schema in SCHEMAS])
def test_every_property_has_its_field(schema: Mapping[str, Any]) -> None:
    """The same names. None is allowed where the schema allows null; optional properties have a default.

    `flows` also has a default, because older events do not have it.
    """
    kind = client_events.KINDS[schema["$id"]]
    own = {field.name: field for field in fields(kind) if field.name not in client_events.ENVELOPE}
    optional = {name for name, field in own.items() if field.default is not MISSING}

    assert {name: field.type for name, field in own.items()} == {
        name: python_type(described) for name, described in schema["properties"].items()
    }
    assert own.keys() - optional == set(schema["required"]) - {"flows"}


def python_type(described: Mapping[str, Any]) -> object:
    """The type of a field for this property."""
    if described.get("type") == "array":
        return tuple[FlowName, ...] if "properties" in described["items"] else tuple[str, ...]
    may_be_null = "null" in described.get("type", []) or None in described.get("enum", [])
    return str | None if may_be_null else str


def test_envelope_has_the_fields_of_a_cloudevent() -> None:
    """All attributes except the constant ones and the data."""
    constant = {"specversion", "datacontenttype", "data"}

    assert set(reported(EVERY_EVENT[0][0])) - constant == client_events.ENVELOPE


@pytest.mark.parametrize(("event", "kind"), EVERY_EVENT, ids=[kind.__name__ for _, kind in EVERY_EVENT])
def test_every_event_is_parsed(event: events.Event, kind: type[Event]) -> None:
    """Every event of the service becomes its dataclass with all its data."""
    found = client_events.parse_json(json.dumps(reported(event)).encode())

    assert type(found) is kind
    assert (found.id, found.type, found.subject) == (str(event.id), event.type, event.subject)
    assert (found.app, found.sequence, found.time) == ("eu", 3, NOW)
    assert {name: as_reported(getattr(found, name)) for name in event.data} == event.data


def as_reported(value: Any) -> Any:
    """The value of a field in the service's JSON."""
    return [vars(each) if isinstance(each, FlowName) else each for each in value] if isinstance(value, tuple) else value


def test_older_events_without_a_field_are_parsed() -> None:
    """The feed still has events from before `flows` existed."""
    given = reported(flow_events.id_verified(USER_FACTS, NOW))
    old = given | {"data": {"user_id": USER}}

    found = client_events.parse(old)

    assert isinstance(found, IdVerified)
    assert (found.user_id, found.flows) == (USER, ())


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "dots.payout.sent", "dataschema": "urn:dots-gateway:schemas/payout.sent/v1.json"},
        {"dataschema": "urn:dots-gateway:schemas/flow.step_completed/v2.json"},
    ],
    ids=["a new type", "a new version"],
)
def test_newer_event_is_an_unknown_event(changed: dict[str, str]) -> None:
    """A consumer can ignore it by its class, and still read its data."""
    given = envelope(1, data={"amount": 5}, **changed)

    found = client_events.parse(given)

    assert found == UnknownEvent(
        id=str(UUID(int=1)),
        type=given["type"],
        source="/dots-gateway/default",
        subject="flow/flow-1",
        sequence=1,
        time=datetime(2026, 11, 23, 12, tzinfo=UTC),
        dataschema=changed["dataschema"],
        data={"amount": 5},
    )


def test_new_fields_are_ignored() -> None:
    """In the envelope and in the data."""
    given = envelope(1)
    more = given | {"traceparent": "00-1", "data": given["data"] | {"amount": 5}}

    assert client_events.parse(more) == client_events.parse(given)


DATA: dict[str, Any] = envelope(1)["data"]
VERIFIED = reported(flow_events.id_verified(USER_FACTS, NOW))
COMPLETED = reported(flow_events.flow_completed(FACTS, NOW))
MALFORMED: dict[str, Any] = {
    "an array": [],
    "null": None,
    "another version of CloudEvents": envelope(1, specversion="0.3"),
    "no id": {name: value for name, value in envelope(1).items() if name != "id"},
    "an id that is a number": envelope(1, id=5),
    "a sequence that is a number": envelope(1, sequence=3),
    "a sequence that is a word": envelope(1, sequence="x"),
    "a negative sequence": envelope(1, sequence="-1"),
    "an invalid time": envelope(1, time="yesterday"),
    "data that is a text": envelope(1, data="x"),
    "null instead of a text": envelope(1, data=DATA | {"step": None}),
    "a number instead of a text": envelope(1, data=DATA | {"reference": 17}),
    "flows that are a text": VERIFIED | {"data": {"user_id": USER, "flows": "x"}},
    "a flow that is a text": VERIFIED | {"data": {"user_id": USER, "flows": ["x"]}},
    "a flow without an id": VERIFIED | {"data": {"user_id": USER, "flows": [{}]}},
    "a step that is a number": COMPLETED | {"data": vars(FACTS) | {"passed_over": [1]}},
    "a missing field": envelope(1, data={name: value for name, value in DATA.items() if name != "user_id"}),
}


@pytest.mark.parametrize("given", MALFORMED.values(), ids=MALFORMED)
def test_malformed_event_is_an_error(given: Any) -> None:
    """The client never guesses the meaning of an event that does not match its schema."""
    with pytest.raises(MalformedEventError):
        client_events.parse(given)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000], ids=["empty", "cut", "not UTF-8", "deep"])
def test_invalid_json_is_an_error(body: bytes) -> None:
    """The error is always MalformedEventError."""
    with pytest.raises(MalformedEventError):
        client_events.parse_json(body)
