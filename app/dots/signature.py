"""Signatures of webhooks (Svix, Standard Webhooks): decode secrets, verify, sign. Works on bytes, not JSON.

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
"""The most signatures in one webhook. Svix signs with the newest secret and up to ten older ones."""

_SECRET_PREFIX = "whsec_"  # noqa: S105 - the public prefix of every secret, not one of them
_SECRET_EXAMPLE = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_SECRET_LENGTHS = range(16, 65)

# A full stop separates the signed parts, so an id that held one could be split in a second way.
_MESSAGE_ID = re.compile(rb"[!-+/-~-]{1,255}")
_TIMESTAMP = re.compile(rb"[0-9]{1,12}")
_VERSION = b"v1,"
_WHITE_SPACE = b" \t"  # RFC 9110 §5.5: white space around a value is not part of it. Some proxies leave it there.

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Refusal(StrEnum):
    """Why a webhook was refused, for logs and metrics. The sender is not told."""

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
    """What a valid signature proves beside the body: the message's id and when it was sent."""

    message_id: str
    attempted_at: datetime


def decode_secret(secret: str) -> bytes:
    """Return the key in `whsec_…`: standard base64 of 16 to 64 bytes, with or without padding.

    Raises SettingsError, which does not quote the secret.
    """
    encoded = secret.removeprefix(_SECRET_PREFIX)
    if encoded == secret:
        raise SettingsError("A webhook secret must begin with `whsec_`.")
    key = _decode_base64(encoded)
    if key is None:
        raise SettingsError("A webhook secret must be `whsec_` and base64.")
    if len(key) not in _SECRET_LENGTHS:
        raise SettingsError("A webhook secret must hold 16 to 64 bytes.")
    return key


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature that Svix would send: `v1,` and base64. `timestamp` is in whole seconds since 1970."""
    return _expected_signature(key, b"%s.%d.%s" % (message_id.encode(), timestamp, body)).decode()


def signed_headers(key: bytes, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers that Svix would send. `timestamp` is in whole seconds since 1970."""
    return {
        "svix-id": message_id,
        "svix-timestamp": str(timestamp),
        "svix-signature": sign(key, message_id, timestamp, body),
    }


class Verifier:
    """Verifies the webhooks of one Dots app. Any of its keys will do, so that secrets can be rotated."""

    _tolerance_seconds = 300  # As in Svix' own verifiers.

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take decoded keys. Without keys, every webhook is refused."""
        self._keys = tuple(keys)

    def verify(self, headers: Iterable[tuple[bytes, bytes]], body: bytes, *, now: datetime) -> Attestation:
        """Check one webhook. `headers` are those of ASGI, with names in lower case.

        Raises only SignatureRefusedError, with a `Refusal` as its detail.
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
        """Return the time of the attempt. Accepts a difference of exactly the tolerance."""
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
        """Whether a `v1` signature was made with one of the keys.

        Compares the base64 texts, without decoding: another spelling of the same bytes does not match.
        """
        entries = [entry for entry in signatures.split(b" ") if entry]
        if len(entries) > SIGNATURE_LIMIT:
            raise SignatureRefusedError(Refusal.TOO_MANY_SIGNATURES)
        candidates = [entry for entry in entries if entry.startswith(_VERSION)]
        is_match = False
        for key in self._keys:
            expected = _expected_signature(key, content)
            for candidate in candidates:
                # Compares every pair, so that the time taken does not show which key matched.
                is_match |= hmac.compare_digest(expected, candidate)
        return is_match


class _Claim(NamedTuple):
    """The three headers of one family, unchecked. A tuple, because it is fast to build for every webhook."""

    message_id: bytes
    timestamp: bytes
    signatures: bytes


_FAMILIES = (
    (b"svix-id", b"svix-timestamp", b"svix-signature"),
    (b"webhook-id", b"webhook-timestamp", b"webhook-signature"),
)
_HEADER_NAMES = frozenset(name for family in _FAMILIES for name in family)


def _read_claim(headers: Iterable[tuple[bytes, bytes]]) -> _Claim:
    """Return the one complete family. Refuses headers of both families as mixed."""
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
    """Return the bytes, or None if `encoded` is not their canonical base64, with or without padding."""
    if not _SECRET_EXAMPLE.fullmatch(encoded):
        return None
    unpadded = encoded.rstrip("=")
    try:
        decoded = base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)
    except binascii.Error:
        return None
    canonical = base64.b64encode(decoded).decode("ascii")
    return decoded if encoded in (canonical, canonical.rstrip("=")) else None
