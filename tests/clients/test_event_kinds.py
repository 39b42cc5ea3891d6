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
    """The envelope in which the service tells this event, as the third of its subject."""
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
    """No event of the service is unknown here, and none is made up."""
    described = {schema["$id"] for schema in SCHEMAS}

    assert len(described) >= len(events.TYPES)
    assert set(client_events.KINDS) == described


@pytest.mark.parametrize("schema", SCHEMAS, ids=[schema["title"] for schema in SCHEMAS])
def test_every_property_has_its_field(schema: Mapping[str, Any]) -> None:
    """And the other way round: the same names, None exactly where null may stand, a default where one may be missing.

    `flows` is missing only on events that are older than it is.
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


def test_envelope_has_its_fields() -> None:
    """What is the same on every event, but for what never changes."""
    constant = {"specversion", "datacontenttype", "data"}

    assert set(reported(EVERY_EVENT[0][0])) - constant == client_events.ENVELOPE


@pytest.mark.parametrize(("event", "kind"), EVERY_EVENT, ids=[kind.__name__ for _, kind in EVERY_EVENT])
def test_every_event_is_read(event: events.Event, kind: type[Event]) -> None:
    """Whatever the service can state arrives as its dataclass, with everything in it."""
    found = client_events.parse_json(json.dumps(reported(event)).encode())

    assert type(found) is kind
    assert (found.id, found.type, found.subject) == (str(event.id), event.type, event.subject)
    assert (found.app, found.sequence, found.time) == ("eu", 3, NOW)
    assert {name: as_reported(getattr(found, name)) for name in event.data} == event.data


def as_reported(value: Any) -> Any:
    """The value of a field as the service writes it."""
    return [vars(each) if isinstance(each, FlowName) else each for each in value] if isinstance(value, tuple) else value


def test_events_from_before_a_field_are_read() -> None:
    """They are in the feed for as long as events are kept."""
    given = reported(flow_events.id_verified(USER_FACTS, NOW))
    old = given | {"data": {"user_id": USER}}

    found = client_events.parse(old)

    assert isinstance(found, IdVerified)
    assert (found.user_id, found.flows) == (USER, ())


def test_every_event_is_exported() -> None:
    """`from dots_gateway_client import …` has all there are."""
    assert {getattr(dots_gateway_client, kind.__name__) for kind in client_events.KINDS.values()} == {
        kind for _, kind in EVERY_EVENT
    }


UNKNOWN = [
    ("a new type", {"type": "dots.payout.sent", "dataschema": "urn:dots-gateway:schemas/payout.sent/v1.json"}),
    ("a new version", {"dataschema": "urn:dots-gateway:schemas/flow.step_completed/v2.json"}),
]


@pytest.mark.parametrize(("name", "changed"), UNKNOWN, ids=[name for name, _ in UNKNOWN])
def test_what_is_newer_is_an_unknown_event(name: str, changed: dict[str, str]) -> None:
    """A consumer passes over it by its class, and can still look at it."""
    del name
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


def test_new_fields_are_passed_over() -> None:
    """A service that says more than this client knows is as good as before."""
    given = envelope(1)
    more = given | {"traceparent": "00-1", "data": given["data"] | {"amount": 5}}

    assert client_events.parse(more) == client_events.parse(given)


DATA: dict[str, Any] = envelope(1)["data"]
VERIFIED = reported(flow_events.id_verified(USER_FACTS, NOW))
COMPLETED = reported(flow_events.flow_completed(FACTS, NOW))
MALFORMED: list[tuple[str, Any]] = [
    ("no object", []),
    ("nothing", None),
    ("another version of CloudEvents", envelope(1, specversion="0.3")),
    ("no id", {name: value for name, value in envelope(1).items() if name != "id"}),
    ("an id that is no text", envelope(1, id=5)),
    ("a sequence that is no text", envelope(1, sequence=3)),
    ("a sequence that is no number", envelope(1, sequence="x")),
    ("a sequence below nothing", envelope(1, sequence="-1")),
    ("a time that is none", envelope(1, time="yesterday")),
    ("data that is no object", envelope(1, data="x")),
    ("null where there must be a text", envelope(1, data=DATA | {"step": None})),
    ("a number for a text", envelope(1, data=DATA | {"reference": 17})),
    (
        "flows that are no list",
        reported(flow_events.id_verified(USER_FACTS, NOW)) | {"data": {"user_id": USER, "flows": "x"}},
    ),
    (
        "a flow that is none",
        reported(flow_events.id_verified(USER_FACTS, NOW)) | {"data": {"user_id": USER, "flows": ["x"]}},
    ),
    ("a flow without id", VERIFIED | {"data": {"user_id": USER, "flows": [{}]}}),
    (
        "steps that are no texts",
        reported(flow_events.flow_completed(FACTS, NOW)) | {"data": vars(FACTS) | {"passed_over": [1]}},
    ),
    ("a field left out", envelope(1, data={name: value for name, value in DATA.items() if name != "user_id"})),
]


@pytest.mark.parametrize(("name", "given"), MALFORMED, ids=[name for name, _ in MALFORMED])
def test_malformed_event_is_an_error(name: str, given: Any) -> None:
    """What breaks its own schema is not guessed at."""
    del name

    with pytest.raises(MalformedEventError):
        client_events.parse(given)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000], ids=["empty", "cut", "not UTF-8", "deep"])
def test_what_is_not_json_is_an_error(body: bytes) -> None:
    """Of one kind, whatever is wrong."""
    with pytest.raises(MalformedEventError):
        client_events.parse_json(body)
