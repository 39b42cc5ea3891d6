"""The AsyncAPI document is complete, valid and describes what the gateway sends."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from app.brokers import addressing
from app.feed import cloudevents, events
from app.feed.events import EventRecord
from app.flows.rules import events as flow_events
from app.flows.rules.events import FlowFacts
from app.server import asyncapi
from app.subscriptions.rules.subscriptions import TEST_TYPE
from tests.dots.fake_dots import NOW

Json = Mapping[str, Any]

INSTALLED = Path(__file__).parent / "npm" / "node_modules"


@pytest.fixture(scope="module")
def document() -> Json:
    """The document."""
    return asyncapi.document(version="1")


@pytest.fixture(scope="session")
def official_schema() -> Json:
    """The JSON Schema of AsyncAPI 3.0. `make javascript` installs it."""
    path = INSTALLED / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def message_schema(document: Json, name: str) -> Draft202012Validator:
    """A validator for the payload of a message."""
    schema = document["components"]["messages"][name]["payload"]
    return Draft202012Validator(
        {**schema, "components": document["components"]}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )


def references(node: object) -> Iterator[str]:
    """Every reference in a document."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from references(each)


def at(document: Json, ref: str) -> Any:
    """The target of a reference. Raises KeyError."""
    found: Any = document
    for part in ref.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_document_is_valid_by_the_official_schema(document: Json, official_schema: Json) -> None:
    """The official schema accepts the document and rejects a broken one."""
    validator = Draft7Validator(official_schema)
    broken = {**document, "operations": {"push": {"action": "shout"}}}

    assert [error.message for error in validator.iter_errors(document)] == []
    assert not validator.is_valid(broken)


def test_every_reference_has_a_target(document: Json) -> None:
    """No reference names a message or schema that is missing."""
    found = list(references(document))

    assert len(found) > 50
    assert [at(document, ref) for ref in found if not at(document, ref)] == []


def test_every_event_type_has_every_channel(document: Json) -> None:
    """Every type has a push, a stream and a broker channel. The test event has only push."""
    channels = document["channels"]

    assert set(channels["push"]["messages"]) == {*events.TYPES, TEST_TYPE}
    assert set(channels["stream"]["messages"]) == set(events.TYPES)
    assert {name: channel["address"] for name, channel in channels.items()} == {
        "push": None,
        "stream": "/v1/events/stream",
        **{event_type: addressing.address(event_type) for event_type in events.TYPES},
    }
    assert channels["dots.background_check.flagged"]["address"] == "compliance.dots.background_check.flagged"
    assert set(document["operations"]) == set(channels)


def test_operations_send_the_messages_of_their_channels(document: Json) -> None:
    """The document takes the service's side: it sends."""
    sent = {
        name: (operation["action"], [ref["$ref"].rpartition("/")[2] for ref in operation["messages"]])
        for name, operation in document["operations"].items()
    }

    assert sent == {name: ("send", list(channel["messages"])) for name, channel in document["channels"].items()}


def test_examples_of_messages_are_valid(document: Json) -> None:
    """Each message has one example event. A pushed message also has example signatures."""
    for name, message in document["components"]["messages"].items():
        (example,) = message["examples"]
        message_schema(document, name).validate(example["payload"])
        if name.endswith(".pushed"):
            Draft202012Validator(message["headers"]).validate(example["headers"])

    assert len(document["components"]["messages"]) == 2 * len(events.TYPES) + 1


def test_message_schema_accepts_only_events_of_its_type(document: Json) -> None:
    """A real event is valid for its own type and not for another type."""
    facts = FlowFacts(app="default", flow_id="flow-1", reference=None, user_id=None)
    event = flow_events.flow_completed(facts, NOW)
    record = EventRecord(**vars(event), sequence=1, position=None)

    envelope = cloudevents.envelope(record)

    assert message_schema(document, "dots.flow.completed").is_valid(envelope)
    assert not message_schema(document, "dots.flow.created").is_valid(envelope)
    assert not message_schema(document, "dots.flow.completed").is_valid({**envelope, "data": {}})
    assert not message_schema(document, "dots.flow.completed").is_valid({**envelope, "id": "1"})
