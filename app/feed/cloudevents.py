"""Events as CloudEvents 1.0 in structured JSON.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md (read 2026-11-23); `sequence` is the
registered extension of that name.
"""

import json
from typing import Any

from app.feed.events import EventRecord


def envelope(event: EventRecord) -> dict[str, Any]:
    """The CloudEvent that pages, streams, subscriptions and brokers all carry."""
    name = event.type.removeprefix("dots.")
    return {
        "specversion": "1.0",
        "id": str(event.id),
        "source": f"/dots-gateway/{event.app}",
        "type": event.type,
        "subject": event.subject,
        "time": event.occurred_at.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "dataschema": f"urn:dots-gateway:schemas/{name}/v1.json",
        "sequence": str(event.sequence),
        "data": event.data,
    }


def encoded(event: EventRecord) -> bytes:
    """The envelope as JSON bytes. The same event always gives the same bytes."""
    return json.dumps(envelope(event), ensure_ascii=False, separators=(",", ":")).encode()
