"""Pushes, signed with the official `standardwebhooks` package."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from standardwebhooks import Webhook

from tests.clients.script import envelope

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@dataclass(frozen=True, kw_only=True)
class Push:
    """One POST of the gateway."""

    body: bytes
    headers: dict[str, str]

    def replaced(self, *, body: bytes | None = None, **headers: str | None) -> Self:
        """A copy with another body or other headers (`webhook_id` for `webhook-id`). None removes a header."""
        changed = self.headers | {name.replace("_", "-"): value or "" for name, value in headers.items()}
        kept = {name: value for name, value in changed.items() if headers.get(name.replace("-", "_"), "") is not None}
        return replace(self, body=self.body if body is None else body, headers=kept)


def signed(at: datetime, *, secrets: Sequence[str] = (SECRET,), event: Any = None) -> Push:
    """A push of an event (default: the first step), signed at this time."""
    content = envelope(1) if event is None else event
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    event_id = content["id"]
    return Push(
        body=body.encode(),
        headers={
            "content-type": "application/cloudevents+json; charset=utf-8",
            "webhook-id": event_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(Webhook(secret).sign(event_id, at, body) for secret in secrets),
        },
    )
