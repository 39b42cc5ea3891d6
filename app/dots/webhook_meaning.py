"""What a webhook of Dots means: which flow or user to look at, which users were merged, which app it is of.

Bodies are flat. `event` is missing in many of the published samples, so the top-level keys say what a webhook is about,
and `event` decides only between a flow and a user that are both named.

Published (docs.dots.dev at 31a5720 and two earlier states, read 2026-11-27; `simulator/published_webhooks.json`):

| event | keys that we read | looked at |
|---|---|---|
| `flow.updated`, `flow.transaction_updated` | `flow_id`, maybe `api_app_id` | the flow |
| `user.updated` and `user.updated.*` | `user_id` | the user |
| `user.updated.user_merged` | `old_user_id`, `new_user_id`, maybe `user_id` | the new user, whom the old one is now |
| `payout_link.*` | maybe `flow_id`; never `payee`, `claimed_user_id` | the flow |
| `transfer.*`, `payout_request.updated`, `payment_intent.updated`, `refund.updated`, `app.updated` … | none | nothing |

Published nowhere, and read like this:

| body | read as |
|---|---|
| `flow_id` and `user_id` | the user if `event` begins with `user.`, else the flow |
| `user.*` with `flow_id` alone | the flow: better to look there than nowhere |
| `old_user_id` and `new_user_id` with an event other than `user.*` | no merge; `flow_id` or `user_id` if given |
| `old_user_id` and `new_user_id` beside `flow_id`, without `event` | the merge: the pair says more than the flow |
| `old_user_id` equal to `new_user_id` | no merge; the user |
| `new_user_id` alone | the user; nothing is known to have been merged |
| `old_user_id` alone | nothing: it is not known who the user is now |
| ids inside other objects or arrays, ids that are no short plain text | nothing |
"""

import json
from dataclasses import dataclass
from typing import Any

from app.dots import fields
from app.storage.subjects import Kind

_EVENT_LIMIT = 100


@dataclass(frozen=True, kw_only=True)
class WebhookMeaning:
    """Where to look again; `kind` and `subject_id` are both given or both None.

    `event` is Dots' name as sent, typing errors and all. `merged_user_id` is the user that was merged into the
    subject, which is then a user. `api_app_id` is the app at Dots that the webhook is of, if it says so.
    """

    event: str | None = None
    kind: Kind | None = None
    subject_id: str | None = None
    merged_user_id: str | None = None
    api_app_id: str | None = None


def read(body: bytes) -> WebhookMeaning:
    """The meaning of a webhook's body; total: any bytes have one, if only an empty one."""
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
    """The JSON object in `body` without its numbers, or an empty one.

    No number is read here, and one of 5,000 digits, which Python refuses, must not hide a flow's id.
    """
    try:
        content = _DECODER.decode(body.decode(json.detect_encoding(body), "surrogatepass"))  # as json.loads does
    except (ValueError, RecursionError):  # not UTF-8, not JSON, or too deep
        return {}
    return content if isinstance(content, dict) else {}


def _drop(_number: str) -> None:
    return None


# json.loads would make a decoder for each body.
_DECODER = json.JSONDecoder(parse_int=_drop, parse_float=_drop)
