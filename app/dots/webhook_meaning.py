"""Reads a webhook of Dots: which flow or user to refresh, which users were merged, which app it belongs to.

Bodies are flat. Many published samples lack `event`, so the top-level keys decide. `event` decides only if a webhook
names both a flow and a user.

Published (docs.dots.dev at 31a5720 and two earlier states, read 2026-11-27; `simulator/published_webhooks.json`):

| event | keys that we read | we refresh |
|---|---|---|
| `flow.updated`, `flow.transaction_updated` | `flow_id`, maybe `api_app_id` | the flow |
| `user.updated` and `user.updated.*` | `user_id` | the user |
| `user.updated.user_merged` | `old_user_id`, `new_user_id`, maybe `user_id` | the new user |
| `payout_link.*` | maybe `flow_id`; never `payee`, `claimed_user_id` | the flow |
| `transfer.*`, `payout_request.updated`, `payment_intent.updated`, `refund.updated`, `app.updated` … | none | nothing |

Not published. We read them like this:

| body | read as |
|---|---|
| `flow_id` and `user_id` | the user if `event` begins with `user.`, else the flow |
| `user.*` with `flow_id` alone | the flow |
| `old_user_id` and `new_user_id` with an event other than `user.*` | no merge; `flow_id` or `user_id` if given |
| `old_user_id` and `new_user_id` beside `flow_id`, without `event` | the merge |
| `old_user_id` equal to `new_user_id` | no merge; the user |
| `new_user_id` alone | no merge; the user |
| `old_user_id` alone | nothing: the new user is unknown |
| ids inside other objects or arrays, ids that are not short plain texts | nothing |
"""

import json
from dataclasses import dataclass
from typing import Any

from app.dots import fields
from app.storage.subjects import Kind

_EVENT_LIMIT = 100


@dataclass(frozen=True, kw_only=True)
class WebhookMeaning:
    """The subject to refresh. `kind` and `subject_id` are both given or both None.

    `event` is Dots' name, unchanged. `merged_user_id` is the user that was merged into the subject, which is then a
    user. `api_app_id` is Dots' id of the app, if the webhook names it.
    """

    event: str | None = None
    kind: Kind | None = None
    subject_id: str | None = None
    merged_user_id: str | None = None
    api_app_id: str | None = None


def read(body: bytes) -> WebhookMeaning:
    """Return the meaning of a webhook's body. Accepts any bytes, and finds no subject in unreadable ones."""
    content = _parse_object(body)
    event = fields.read_text(content.get("event"), limit=_EVENT_LIMIT)
    api_app_id = fields.read_id(content.get("api_app_id"))
    flow_id = fields.read_id(content.get("flow_id"))
    user_id = fields.read_id(content.get("user_id"))
    old_user_id = fields.read_id(content.get("old_user_id"))
    new_user_id = fields.read_id(content.get("new_user_id"))
    is_about_user = event is not None and event.startswith("user.")
    may_be_merge = event is None or is_about_user
    if may_be_merge and old_user_id and new_user_id and old_user_id != new_user_id:
        return WebhookMeaning(
            event=event, kind="user", subject_id=new_user_id, merged_user_id=old_user_id, api_app_id=api_app_id
        )
    user_id = (new_user_id if may_be_merge else None) or user_id
    if user_id is not None and (is_about_user or flow_id is None):
        return WebhookMeaning(event=event, kind="user", subject_id=user_id, api_app_id=api_app_id)
    if flow_id is not None:
        return WebhookMeaning(event=event, kind="flow", subject_id=flow_id, api_app_id=api_app_id)
    return WebhookMeaning(event=event, api_app_id=api_app_id)


def _parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body` without its numbers, or an empty one.

    We need no numbers, and Python refuses one of 5,000 digits, which must not hide a flow's id.
    """
    try:
        content = _DECODER.decode(body.decode(json.detect_encoding(body), "surrogatepass"))  # as json.loads does
    except (ValueError, RecursionError):  # Not UTF-8, not JSON, or nested too deeply.
        return {}
    return content if isinstance(content, dict) else {}


def _drop(_number: str) -> None:
    return None


# One for all bodies: json.loads would build a decoder for each.
_DECODER = json.JSONDecoder(parse_int=_drop, parse_float=_drop)
