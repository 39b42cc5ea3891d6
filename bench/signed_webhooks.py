"""Webhooks as Dots' sender (Svix) writes them, signed and serialized before they are sent."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from svix.webhooks import Webhook

PATH = "/webhooks/dots"


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedWebhook:
    """A message id and the HTTP/1.1 request that carries it, ready for a socket."""

    message_id: str
    request: bytes


def sign_webhooks(
    *,
    secret: str,
    host: str,
    message_id: Callable[[int], str],
    count: int,
    flow_ids: Sequence[str],
    clock: Callable[[], datetime],
) -> Iterator[SignedWebhook]:
    """Sign webhooks number 0 to `count` - 1, which name the flows in turn, each when it is asked for.

    They are accepted for five minutes after the clock's time, like every Svix message.
    """
    signer = Webhook(secret)
    bodies = [json.dumps({"event": "flow.updated", "flow_id": flow_id}) for flow_id in flow_ids]
    for number in range(count):
        timestamp = int(clock().timestamp())
        body = bodies[number % len(bodies)]
        name = message_id(number)
        signature = signer.sign(name, datetime.fromtimestamp(timestamp, UTC), body)
        head = (
            f"POST {PATH} HTTP/1.1\r\nhost: {host}\r\nuser-agent: Svix-Webhooks/1.84\r\naccept: */*\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"svix-id: {name}\r\nsvix-timestamp: {timestamp}\r\nsvix-signature: {signature}\r\n\r\n"
        )
        yield SignedWebhook(message_id=name, request=(head + body).encode())
