"""Sign pushed events with symmetric Standard Webhooks signatures.

The `standardwebhooks` package only verifies them in the tests. Its `sign` takes only text (it signs the `repr` of
bytes) and treats a time in any zone as UTC.
Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (read 2026-11-23).
"""

import base64
import hmac
from collections.abc import Sequence


def sign(keys: Sequence[bytes], *, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: one signature per key, in order. `timestamp` is in whole seconds."""
    content = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return " ".join(f"v1,{base64.b64encode(hmac.digest(key, content, 'sha256')).decode()}" for key in keys)
