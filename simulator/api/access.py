"""Checks the credentials of API calls: HTTP Basic, `client_id:api_key`, compared in constant time."""

import base64
import binascii
import secrets

from simulator.settings import Settings


def is_allowed(authorization: str | None, settings: Settings) -> bool:
    """Whether this `Authorization` header carries the simulator's credentials."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        given = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    expected = f"{settings.client_id}:{settings.api_key}".encode()
    return secrets.compare_digest(given, expected)
