"""Signed webhooks for tests: well-formed by default, malformed on request, with a valid signature in both cases."""

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
    """Return the time as a webhook states it."""
    return b"%d" % int(now.timestamp())


def signature_of(key: bytes, message_id: bytes, timestamp: bytes, body: bytes) -> bytes:
    """Return Svix' signature. This second implementation also signs malformed parts."""
    digest = hmac.new(key, message_id + b"." + timestamp + b"." + body, hashlib.sha256).digest()
    return b"v1," + base64.b64encode(digest)


def headers_of(
    message_id: bytes, timestamp: bytes, signatures: bytes, *, family: bytes = b"svix"
) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers of one webhook, with names in lower case as in ASGI."""
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
    """Return headers with a valid signature over the given parts."""
    timestamp = seconds_of(now) if timestamp is None else timestamp
    return headers_of(message_id, timestamp, signature_of(key, message_id, timestamp, body), family=family)
