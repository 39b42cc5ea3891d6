"""The AsyncAPI document: every event, and the ways in which it comes: pushed, streamed, through a broker.

Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0 (read 2026-11-23).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from app.brokers import addressing
from app.feed import event_schemas, events
from app.feed.schemas import EventShape
from app.subscriptions.rules.subscriptions import TEST_TYPE
from app.web import examples

Json = dict[str, Any]

_DESCRIPTION = """What other services may act on, as CloudEvents 1.0 in structured JSON, the same by whichever way.

Every event comes at least once: handle an `id` once. Within a `subject` events come in order, `sequence` counts them.
Events of background checks need `compliance:read`.
"""

_PUSH = """POST to the URL of a subscription (`POST /v1/subscriptions`), signed as Standard Webhooks have it.

Any 2xx is success. Everything else is tried again for about three days; an event waits for the earlier ones of its
own subject, never for others.
"""

_STREAM = """`GET` with `Authorization: Bearer <key>` of a key with `events:read`, answered as server-sent events.

Each message is named after the event's type; its id is a cursor. Come back with the last one as `Last-Event-ID`.
"""

_BROKER = """The subject at NATS JetStream, the routing key at RabbitMQ, the topic at Kafka, or the stream at Redis.

What is published is the event, in a field `data` at Redis. Its `id` is there beside it: as `Nats-Msg-Id`, as
RabbitMQ's message id, as Kafka's header `id`, as Redis' field `id`. Kafka's key is the `subject`.
"""

_SIGNATURE_HEADERS: Json = {
    "type": "object",
    "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
    "properties": {
        "webhook-id": {
            "type": "string",
            "format": "uuid",
            "description": "The event's `id`, however often it is sent.",
        },
        "webhook-timestamp": {"type": "string", "pattern": "^[0-9]+$", "description": "Seconds since 1970."},
        "webhook-signature": {
            "type": "string",
            "description": "`v1,` and a signature in base64, one for each live secret, with spaces between them.",
        },
    },
}
_SIGNATURE_EXAMPLE: Json = {
    "webhook-id": examples.EVENT_ID,
    "webhook-timestamp": "1795428271",
    "webhook-signature": "v1,EXAMPLEexampleEXAMPLEexampleEXAMPLEexample0=",
}


def document(*, version: str) -> Json:
    """The document; `version` is that of the HTTP API."""
    pushed = [*events.TYPES, TEST_TYPE]
    channels = {
        "push": _channel(None, _PUSH, pushed, suffix=".pushed"),
        "stream": _channel("/v1/events/stream", _STREAM, events.TYPES),
        **{event_type: _channel(addressing.address(event_type), _BROKER, [event_type]) for event_type in events.TYPES},
    }
    return {
        "asyncapi": "3.0.0",
        "id": "urn:dots-gateway",
        "info": {"title": "dots-gateway", "version": version, "description": _DESCRIPTION},
        "defaultContentType": addressing.CONTENT_TYPE,
        "channels": channels,
        "operations": {name: _operation(name, channel) for name, channel in channels.items()},
        "components": {
            "messages": {
                **{event_type: _message(event_type) for event_type in events.TYPES},
                **{f"{event_type}.pushed": _pushed_message(event_type) for event_type in pushed},
            },
            "schemas": {
                "envelope": EventShape.model_json_schema(),
                **{event_type: _data(event_type) for event_type in pushed},
            },
        },
    }


def _channel(address: str | None, description: str, event_types: Iterable[str], *, suffix: str = "") -> Json:
    return {
        "address": address,
        "description": description,
        "messages": {event_type: {"$ref": f"#/components/messages/{event_type}{suffix}"} for event_type in event_types},
    }


def _operation(name: str, channel: Mapping[str, Any]) -> Json:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{event_type}"} for event_type in channel["messages"]],
    }


def _pushed_message(event_type: str) -> Json:
    message = _message(event_type)
    (example,) = message["examples"]
    return {
        **message,
        "headers": _SIGNATURE_HEADERS,
        "examples": [{**example, "headers": _SIGNATURE_EXAMPLE}],
    }


def _message(event_type: str) -> Json:
    name, schema = event_schemas.of_type(event_type)
    return {
        "name": event_type,
        "title": schema["description"],
        "contentType": addressing.CONTENT_TYPE,
        **({"tags": [{"name": "compliance:read"}]} if event_type in events.COMPLIANCE_TYPES else {}),
        "payload": {
            "allOf": [
                {"$ref": "#/components/schemas/envelope"},
                {
                    "type": "object",
                    "properties": {
                        "type": {"const": event_type},
                        "dataschema": {"const": f"{event_schemas.PREFIX}{name}"},
                        "data": {"$ref": f"#/components/schemas/{event_type}"},
                    },
                },
            ]
        },
        "examples": [{"name": "event", "payload": _example(event_type, name, schema)}],
    }


def _data(event_type: str) -> Json:
    """The schema of an event's data, which is AsyncAPI's own dialect too as long as it does not say which it is."""
    _name, schema = event_schemas.of_type(event_type)
    return {key: value for key, value in schema.items() if key not in ("$schema", "$id")}


def _example(event_type: str, name: str, schema: Mapping[str, Any]) -> Json:
    (data,) = schema["examples"]
    kind = next(kind for kind in ("flow", "user", "subscription") if f"{kind}_id" in data)
    return {
        **examples.EVENT,
        "type": event_type,
        "subject": f"{kind}/{data[f'{kind}_id']}",
        "dataschema": f"{event_schemas.PREFIX}{name}",
        "sequence": "1",
        "data": data,
    }
