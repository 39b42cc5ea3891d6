"""Webhooks as Dots' sender (Svix) writes them, signed and serialized before the clock starts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from svix.webhooks import Webhook

PATH = "/webhooks/dots"


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedWebhook:
    """A message id and the HTTP/1.1 request that carries it, ready for a socket."""

    message_id: str
    request: bytes


def sign_webhooks(
    *, secret: str, host: str, prefix: str, count: int, flow_ids: Sequence[UUID], signed_at: datetime
) -> list[SignedWebhook]:
    """Sign `count` webhooks with ids `<prefix>0`, `<prefix>1`, … that name the flows in turn.

    They are accepted for five minutes after `signed_at`, like every Svix message.
    """
    signer = Webhook(secret)
    timestamp = int(signed_at.timestamp())
    bodies = [json.dumps({"event": "flow.updated", "flow_id": str(flow_id)}) for flow_id in flow_ids]
    webhooks = []
    for number in range(count):
        message_id = f"{prefix}{number}"
        body = bodies[number % len(bodies)]
        signature = signer.sign(message_id, datetime.fromtimestamp(timestamp, UTC), body)
        head = (
            f"POST {PATH} HTTP/1.1\r\nhost: {host}\r\nuser-agent: Svix-Webhooks/1.84\r\naccept: */*\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"svix-id: {message_id}\r\nsvix-timestamp: {timestamp}\r\nsvix-signature: {signature}\r\n\r\n"
        )
        webhooks.append(SignedWebhook(message_id=message_id, request=(head + body).encode()))
    return webhooks
