"""Signatures on what is pushed: Standard Webhooks, the symmetric kind.

The `standardwebhooks` package verifies them in the tests but does not make them: its `sign` takes text, of bytes
it signs the Python spelling, and a time in another zone than UTC it takes for UTC.
Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (read 2026-11-23).
"""

import base64
import hmac
from collections.abc import Sequence


def sign(keys: Sequence[bytes], *, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: one signature for each key, in their order; `timestamp` in whole seconds."""
    content = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return " ".join(f"v1,{base64.b64encode(hmac.digest(key, content, 'sha256')).decode()}" for key in keys)
