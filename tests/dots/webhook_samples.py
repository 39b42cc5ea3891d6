"""The webhooks that Dots publishes, with invented values, and the subject of each."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from simulator import published
from simulator.published import PublishedWebhook


@dataclass(frozen=True, kw_only=True)
class WebhookSample:
    """One published webhook. `kind` is the kind of its subject, None if it has none."""

    name: str
    body: Mapping[str, Any]
    kind: Literal["flow", "user"] | None

    @property
    def raw(self) -> bytes:
        """The body as bytes."""
        return json.dumps(self.body).encode()

    @property
    def subject_id(self) -> str | None:
        """The id of the subject. After a merge it is the new user."""
        if self.kind == "user":
            return str(self.body.get("new_user_id") or self.body["user_id"])
        return str(self.body["flow_id"]) if self.kind == "flow" else None


_KINDS: dict[str | None, Literal["flow", "user"] | None] = {"flow": "flow", "user": "user", None: None}


def _read(number: int, published_webhook: PublishedWebhook) -> WebhookSample:
    named = None if published_webhook.subject is None else published_webhook.subject.split(":")[0].split(",")[0]
    return WebhookSample(
        name=f"{number} {published_webhook.published_as}", body=published_webhook.body, kind=_KINDS[named]
    )


SAMPLES = [_read(number, published_webhook) for number, published_webhook in enumerate(published.published_webhooks())]
