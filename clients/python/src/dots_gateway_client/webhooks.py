"""Verifies pushed events by their Standard Webhooks signatures.

We do not use the `standardwebhooks` package: it accepts only one secret, always uses the system clock, and raises
ValueError for malformed signatures, which a receiver would answer with 500. Tests compare both implementations.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (read 2026-11-23).
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from dots_gateway_client import events
from dots_gateway_client.errors import InvalidSecretError, SignatureRefusedError
from dots_gateway_client.events import Event

TOLERANCE = timedelta(minutes=5)


def verify(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], *, now: datetime | None = None) -> Event:
    """The event in a push that one of the secrets signed within five minutes of `now`.

    `body` is the raw body. The names in `headers` are not case-sensitive. Raises SignatureRefusedError (answer 401).
    Raises InvalidSecretError and MalformedEventError (answer 500, so that the gateway pushes the event again later).
    """
    keys = [_decode(secret) for secret in secrets]
    if not keys:
        raise InvalidSecretError("Give at least one webhook secret.")
    message_id, timestamp, signatures = _read(headers)
    _check_age(timestamp, now or datetime.now(UTC))
    content = b".".join((message_id, timestamp, body))
    expected = [b"v1," + base64.b64encode(hmac.digest(key, content, "sha256")) for key in keys]
    # Compare all pairs, so that the duration does not reveal which secret matched.
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in signatures.split(b" ")]
    if not any(matches):
        raise SignatureRefusedError("None of the secrets has signed this push.")
    return events.parse_json(body)


def _read(headers: Mapping[str, str]) -> tuple[bytes, bytes, bytes]:
    """The id, the timestamp and the signatures. Characters outside ASCII are escaped, so no signature matches."""
    lowered = {name.lower(): value for name, value in headers.items()}
    try:
        found = [lowered[f"webhook-{part}"] for part in ("id", "timestamp", "signature")]
    except KeyError as error:
        raise SignatureRefusedError(f"The header {error} is missing.") from None
    message_id, timestamp, signatures = (value.encode("ascii", "backslashreplace") for value in found)
    return message_id, timestamp, signatures


def _check_age(timestamp: bytes, now: datetime) -> None:
    """Refuse a push outside the tolerance, because it may be a replay."""
    if not re.fullmatch(rb"[0-9]{1,12}", timestamp):
        raise SignatureRefusedError("The header webhook-timestamp is not a number of seconds.")
    age = timedelta(seconds=now.timestamp() - int(timestamp))
    if abs(age) > TOLERANCE:
        raise SignatureRefusedError(f"The push is too {'old' if age > TOLERANCE else 'new'}. Is the clock right?")


def _decode(secret: str) -> bytes:
    """The key in `whsec_…`. Raises InvalidSecretError, whose message does not show the secret."""
    prefix, _, encoded = secret.rstrip("=").partition("_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if prefix != "whsec" or not key:
        raise InvalidSecretError("A webhook secret must be `whsec_` followed by base64.")
    return key
