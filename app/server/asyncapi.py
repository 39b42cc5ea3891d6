"""The AsyncAPI document: every event and every way to receive it: push, stream or broker.

Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0 (read 2026-11-23).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from app.brokers import addressing
from app.feed import event_schemas, events
from app.feed.schemas import EventResponse
from app.subscriptions.rules.subscriptions import TEST_TYPE
from app.web import examples

Json = dict[str, Any]

_DESCRIPTION = """Events for other services, as CloudEvents 1.0 in JSON, the same for push, stream and broker.

Every event arrives at least once: handle an `id` once. The events of one `subject` arrive in order, and `sequence`
counts them. Events of background checks need `compliance:read`.
"""

_PUSH = """POST to the URL of a subscription (`POST /v1/subscriptions`), signed according to Standard Webhooks.

Any 2xx is success. The gateway retries after any other answer, for about three days. An event waits for the earlier
events of its own subject, never for other subjects.
"""

_STREAM = """`GET` with `Authorization: Bearer <key>` and a key with `events:read`. The answer is server-sent events.

The name of a message is the event's type. Its id is a cursor. To resume a stream, send the last id as `Last-Event-ID`.
"""

_BROKER = """The subject in NATS JetStream, the routing key in RabbitMQ, the topic in Kafka or the stream in Redis.

The message is the event. Redis has it in the field `data`. The event's `id` is also in the header `Nats-Msg-Id` (NATS),
the message id (RabbitMQ), the header `id` (Kafka) or the field `id` (Redis). Kafka's key is the `subject`.
"""

_SIGNATURE_HEADERS: Json = {
    "type": "object",
    "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
    "properties": {
        "webhook-id": {
            "type": "string",
            "format": "uuid",
            "description": "The event's `id`, the same for every attempt.",
        },
        "webhook-timestamp": {"type": "string", "pattern": "^[0-9]+$", "description": "Seconds since 1970."},
        "webhook-signature": {
            "type": "string",
            "description": "One signature for each valid secret, separated by spaces: `v1,` and base64.",
        },
    },
}
_SIGNATURE_EXAMPLE: Json = {
    "webhook-id": examples.EVENT_ID,
    "webhook-timestamp": "1795428271",
    "webhook-signature": "v1,EXAMPLEexampleEXAMPLEexampleEXAMPLEexample0=",
}


def document(*, version: str) -> Json:
    """The document. `version` is the version of the HTTP API."""
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
                "envelope": EventResponse.model_json_schema(),
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
    """The schema of an event's data. Without `$schema` it is valid in AsyncAPI's own dialect."""
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
