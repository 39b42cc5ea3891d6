"""Signatures in Svix' format.

Source: https://docs.svix.com/receiving/verifying-payloads/how-manual, read 2026-11-23 through dots-api.md §5.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from random import Random

_PREFIX = "whsec_"
_KEY_BYTES = 24
_KEY_BYTES_ALLOWED = range(16, 65)


class SecretError(ValueError):
    """A webhook secret is `whsec_` followed by the base64 of 16 to 64 bytes."""


def signature_header(secrets: Sequence[str], *, message_id: str, timestamp: int, body: bytes) -> str:
    """One `v1,…` signature per secret, separated by spaces. `timestamp` is in seconds.

    Raises:
        SecretError: a secret is malformed.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(f"v1,{_hmac(key(secret), signed)}" for secret in secrets)


def key(secret: str) -> bytes:
    """The decoded bytes of a secret.

    Raises:
        SecretError: it is malformed.
    """
    if not secret.startswith(_PREFIX):
        raise SecretError(SecretError.__doc__)
    try:
        decoded = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SecretError(SecretError.__doc__) from None
    if len(decoded) not in _KEY_BYTES_ALLOWED:
        raise SecretError(SecretError.__doc__)
    return decoded


def new_secret(random: Random) -> str:
    """A new random secret."""
    return _PREFIX + base64.b64encode(random.randbytes(_KEY_BYTES)).decode()


def _hmac(key_bytes: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key_bytes, signed, "sha256")).decode()
