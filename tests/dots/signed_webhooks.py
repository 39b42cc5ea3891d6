"""Signed webhooks for tests: well made by default, malformed where a test says so, rightly signed either way."""

import base64
import hashlib
import hmac
from datetime import datetime

MESSAGE_ID = b"msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"
BODY = b'{"event":"flow.updated","flow_id":"b3293101-35ef-451a-aad4-881da3697c2f"}'
FAMILIES = (b"svix", b"webhook")
PARTS = (b"id", b"timestamp", b"signature")

TYPE_OF_BODY = (b"content-type", b"application/json")


def seconds_of(now: datetime) -> bytes:
    """The moment as a webhook writes it."""
    return b"%d" % int(now.timestamp())


def signature_of(key: bytes, message_id: bytes, timestamp: bytes, body: bytes) -> bytes:
    """What Svix would sign with, written down here a second time on purpose: also for malformed parts."""
    digest = hmac.new(key, message_id + b"." + timestamp + b"." + body, hashlib.sha256).digest()
    return b"v1," + base64.b64encode(digest)


def headers_of(
    message_id: bytes, timestamp: bytes, signatures: bytes, *, family: bytes = b"svix"
) -> tuple[tuple[bytes, bytes], ...]:
    """The headers of one webhook, in lower case, as ASGI gives them."""
    values = (message_id, timestamp, signatures)
    return (
        TYPE_OF_BODY,
        *((family + b"-" + part, value) for part, value in zip(PARTS, values, strict=True)),
    )


def signed_headers(
    key: bytes,
    now: datetime,
    *,
    message_id: bytes = MESSAGE_ID,
    timestamp: bytes | None = None,
    body: bytes = BODY,
    family: bytes = b"svix",
) -> tuple[tuple[bytes, bytes], ...]:
    """Headers with the right signature over whatever is given."""
    timestamp = seconds_of(now) if timestamp is None else timestamp
    return headers_of(message_id, timestamp, signature_of(key, message_id, timestamp, body), family=family)
