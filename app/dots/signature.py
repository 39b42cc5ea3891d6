"""The signatures on Dots' webhooks (Svix, Standard Webhooks): secrets, verifying, signing; bytes, no JSON.

Sources: https://docs.svix.com/receiving/verifying-payloads/how-manual and the Standard Webhooks
specification 1.0.0, as gathered in the project's notes on Dots, read 2026-11-23.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from app.errors import SettingsError, SignatureRefusedError

SIGNATURE_LIMIT = 16
"""How many signatures one webhook may carry. Svix signs with the newest secret and up to ten older ones."""

_SECRET_PREFIX = "whsec_"  # noqa: S105 - the public prefix of every secret, not one of them
_SECRET_EXAMPLE = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_SECRET_LENGTHS = range(16, 65)

# A full stop separates the signed parts, so an id that held one could be split in a second way.
_MESSAGE_ID = re.compile(rb"[!-+/-~-]{1,255}")
_TIMESTAMP = re.compile(rb"[0-9]{1,12}")
_VERSION = b"v1,"
_WHITE_SPACE = b" \t"  # RFC 9110 §5.5: around a value it is no part of it; not every proxy takes it away

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Refusal(StrEnum):
    """Why a webhook was refused: for logs and metrics, never for the sender."""

    HEADERS_MISSING = "headers missing"
    FAMILIES_MIXED = "families mixed"
    HEADER_REPEATED = "header repeated"
    ID_MALFORMED = "id malformed"
    TIMESTAMP_MALFORMED = "timestamp malformed"
    TIMESTAMP_TOO_OLD = "timestamp too old"
    TIMESTAMP_IN_THE_FUTURE = "timestamp in the future"
    TOO_MANY_SIGNATURES = "too many signatures"
    NO_SIGNATURE_MATCHES = "no signature matches"


@dataclass(frozen=True, kw_only=True)
class Attestation:
    """What a good signature vouches for beside the body: which message this is, and when it was sent."""

    message_id: str
    attempted_at: datetime


def decode_secret(secret: str) -> bytes:
    """The key inside `whsec_…`: standard base64 of 16 to 64 bytes, whose padding may be missing.

    Raises SettingsError, whose text never holds any of the secret.
    """
    encoded = secret.removeprefix(_SECRET_PREFIX)
    if encoded == secret:
        raise SettingsError("A webhook secret starts with `whsec_`; this one does not.")
    key = _decode_base64(encoded)
    if key is None:
        raise SettingsError("A webhook secret is `whsec_` and then base64; this one is not.")
    if len(key) not in _SECRET_LENGTHS:
        raise SettingsError("A webhook secret holds 16 to 64 bytes; this one does not.")
    return key


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature Svix would send: `v1,` and base64; `timestamp` in whole seconds since 1970."""
    return _expected_signature(key, b"%s.%d.%s" % (message_id.encode(), timestamp, body)).decode()


def signed_headers(key: bytes, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a webhook that Svix would send; `timestamp` in whole seconds since 1970."""
    return {
        "svix-id": message_id,
        "svix-timestamp": str(timestamp),
        "svix-signature": sign(key, message_id, timestamp, body),
    }


class Verifier:
    """Tells webhooks of one Dots app from forgeries; with several keys (rotation) any one will do."""

    _tolerance_seconds = 300  # Svix' own verifiers tolerate as much.

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take decoded keys; without any, everything is refused."""
        self._keys = tuple(keys)

    def verify(self, headers: Iterable[tuple[bytes, bytes]], body: bytes, *, now: datetime) -> Attestation:
        """Check one webhook; `headers` as ASGI gives them, names in lower case.

        Raises SignatureRefusedError with one of `Refusal` as its detail, and nothing else.
        """
        claim = _read_claim(headers)
        if not _MESSAGE_ID.fullmatch(claim.message_id):
            raise SignatureRefusedError(Refusal.ID_MALFORMED)
        attempted_at = self._read_timestamp(claim.timestamp, now)
        content = b".".join((claim.message_id, claim.timestamp, body))
        if not self._has_match(claim.signatures, content):
            raise SignatureRefusedError(Refusal.NO_SIGNATURE_MATCHES)
        return Attestation(message_id=claim.message_id.decode("ascii"), attempted_at=attempted_at)

    def _read_timestamp(self, timestamp: bytes, now: datetime) -> datetime:
        """The moment of the attempt; exactly as far off as tolerated is still good."""
        if not _TIMESTAMP.fullmatch(timestamp):
            raise SignatureRefusedError(Refusal.TIMESTAMP_MALFORMED)
        seconds = int(timestamp)
        age_seconds = (now - _EPOCH).total_seconds() - seconds
        if age_seconds > self._tolerance_seconds:
            raise SignatureRefusedError(Refusal.TIMESTAMP_TOO_OLD)
        if age_seconds < -self._tolerance_seconds:
            raise SignatureRefusedError(Refusal.TIMESTAMP_IN_THE_FUTURE)
        return _EPOCH + timedelta(seconds=seconds)

    def _has_match(self, signatures: bytes, content: bytes) -> bool:
        """Whether a `v1` signature belongs to one of the keys.

        Text is compared with text: what is not exactly our base64 is no match, and nothing is decoded.
        """
        entries = [entry for entry in signatures.split(b" ") if entry]
        if len(entries) > SIGNATURE_LIMIT:
            raise SignatureRefusedError(Refusal.TOO_MANY_SIGNATURES)
        candidates = [entry for entry in entries if entry.startswith(_VERSION)]
        is_match = False
        for key in self._keys:
            expected = _expected_signature(key, content)
            for candidate in candidates:
                # Every pair is compared, so that the time taken does not tell which key was right.
                is_match |= hmac.compare_digest(expected, candidate)
        return is_match


class _Claim(NamedTuple):
    """The three headers of one family, unchecked; a tuple because one is made for every webhook."""

    message_id: bytes
    timestamp: bytes
    signatures: bytes


_FAMILIES = (
    (b"svix-id", b"svix-timestamp", b"svix-signature"),
    (b"webhook-id", b"webhook-timestamp", b"webhook-signature"),
)
_HEADER_NAMES = frozenset(name for family in _FAMILIES for name in family)


def _read_claim(headers: Iterable[tuple[bytes, bytes]]) -> _Claim:
    """The one complete family; any header of the other family beside it is refused as mixed."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _HEADER_NAMES:
            if name in found:
                raise SignatureRefusedError(Refusal.HEADER_REPEATED)
            found[name] = value.strip(_WHITE_SPACE)
    if len(found) == len(_Claim._fields):
        for message_id, timestamp, signatures in _FAMILIES:
            if message_id in found and timestamp in found and signatures in found:
                return _Claim(found[message_id], found[timestamp], found[signatures])
    is_mixed = not any(found.keys() <= set(family) for family in _FAMILIES)
    raise SignatureRefusedError(Refusal.FAMILIES_MIXED if is_mixed else Refusal.HEADERS_MISSING)


def _expected_signature(key: bytes, content: bytes) -> bytes:
    return _VERSION + binascii.b2a_base64(hmac.digest(key, content, "sha256"), newline=False)


def _decode_base64(encoded: str) -> bytes | None:
    """The bytes, or None unless `encoded` is how exactly they are written, with or without padding."""
    if not _SECRET_EXAMPLE.fullmatch(encoded):
        return None
    unpadded = encoded.rstrip("=")
    try:
        decoded = base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)
    except binascii.Error:
        return None
    canonical = base64.b64encode(decoded).decode("ascii")
    return decoded if encoded in (canonical, canonical.rstrip("=")) else None
