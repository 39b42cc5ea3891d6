"""Events pushed to you: Standard Webhooks signatures, checked before anything is read.

Our own few lines and not the `standardwebhooks` package, which tests hold them against: that one takes one secret,
reads the machine's clock itself, and lets ValueError out for malformed signatures, which a receiver answers with 500.

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
    """The event in a push, once it is certain that one of the secrets signed it within five minutes of `now`.

    `body` is what came, byte for byte; names of `headers` in any case. Raises SignatureRefusedError (answer 401);
    InvalidSecretError, MalformedEventError (answer 500: it comes again when you have put things right).
    """
    keys = [_decode(secret) for secret in secrets]
    if not keys:
        raise InvalidSecretError("Give at least one webhook secret.")
    message_id, timestamp, signatures = _read(headers)
    _check_age(timestamp, now or datetime.now(UTC))
    content = b".".join((message_id, timestamp, body))
    expected = [b"v1," + base64.b64encode(hmac.digest(key, content, "sha256")) for key in keys]
    # Every pair is compared, so that the time taken does not tell which secret was right.
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in signatures.split(b" ")]
    if not any(matches):
        raise SignatureRefusedError("No signature of this push is of one of the secrets.")
    return events.parse_json(body)


def _read(headers: Mapping[str, str]) -> tuple[bytes, bytes, bytes]:
    """Id, timestamp and signatures; what cannot be in a header becomes something no signature matches."""
    lowered = {name.lower(): value for name, value in headers.items()}
    try:
        found = [lowered[f"webhook-{part}"] for part in ("id", "timestamp", "signature")]
    except KeyError as error:
        raise SignatureRefusedError(f"The header {error} is missing.") from None
    message_id, timestamp, signatures = (value.encode("ascii", "backslashreplace") for value in found)
    return message_id, timestamp, signatures


def _check_age(timestamp: bytes, now: datetime) -> None:
    """An old push may be one that somebody has recorded; exactly as far off as tolerated is still good."""
    if not re.fullmatch(rb"[0-9]{1,12}", timestamp):
        raise SignatureRefusedError("The header webhook-timestamp is not a number of seconds.")
    age = timedelta(seconds=now.timestamp() - int(timestamp))
    if abs(age) > TOLERANCE:
        raise SignatureRefusedError(f"The push is too {'old' if age > TOLERANCE else 'new'}; is the clock right?")


def _decode(secret: str) -> bytes:
    """The key in `whsec_…`. Raises InvalidSecretError, whose text holds nothing of the secret."""
    prefix, _, encoded = secret.rstrip("=").partition("_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if prefix != "whsec" or not key:
        raise InvalidSecretError("A webhook secret is `whsec_` and then base64; this one is not.")
    return key
