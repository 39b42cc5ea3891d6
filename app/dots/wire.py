"""Translates between Dots' JSON and our snapshots, without I/O. Drops all personal data.

Source: https://docs.dots.dev/api-reference, as gathered in the project's notes, read 2026-11-23.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from app.dots import fields, flow_metadata
from app.dots.snapshots import (
    FlowPage,
    FlowSnapshot,
    ListedFlow,
    UserSnapshot,
)
from app.errors import DotsInvalidResponseError

CLIENT_REF_KEY = flow_metadata.CLIENT_REF_KEY

_NAME_LIMIT = 100
_LINK_LIMIT = 4096
# Users from before 2026 may still have this second part of their check. Other words mean neither.
_OLDER_CHECK: Mapping[str | None, bool] = {"failed": True, "passed": False}


def read_flow(payload: object) -> FlowSnapshot:
    """Read a flow. Raises DotsInvalidResponseError if it has no id or no readable list of steps."""
    flow = _require_object(payload, "flow")
    completed = flow.get("completed_steps")
    own_metadata, client_ref = flow_metadata.unwrap(flow.get("metadata"))
    return FlowSnapshot(
        id=_require_id(flow, "flow"),
        steps=_read_step_names(flow.get("steps"), "steps"),
        completed_steps=() if completed is None else _read_step_names(completed, "completed_steps"),
        user_id=fields.read_id(flow.get("user_id")),
        link=fields.read_text(flow.get("link"), limit=_LINK_LIMIT),
        metadata=own_metadata,
        client_ref=client_ref,
        payout_link_id=fields.read_id(flow.get("payout_link_id")),
        created_at=fields.read_time(flow.get("created")),
    )


def read_flow_page(payload: object) -> FlowPage:
    """Read a page of flows. Raises DotsInvalidResponseError if it is not one.

    Reads only the fields that discovery needs, so that one malformed flow does not hide the others.
    """
    page = _require_object(payload, "page of flows")
    flows = page.get("data")
    has_more = fields.read_flag(page.get("has_more"))
    if not isinstance(flows, list) or has_more is None:
        raise DotsInvalidResponseError("Dots returned a page of flows without `data` or `has_more`.")
    return FlowPage(flows=tuple(_read_listed(_object_or_empty(flow)) for flow in flows), has_more=has_more)


def _read_listed(flow: dict[str, Any]) -> ListedFlow:
    _, client_ref = flow_metadata.unwrap(flow.get("metadata"))
    return ListedFlow(
        id=fields.read_id(flow.get("id")), client_ref=client_ref, created_at=fields.read_time(flow.get("created"))
    )


def read_user(payload: object) -> UserSnapshot:
    """Read the six fields that we keep of a user. Raises DotsInvalidResponseError if there is no id."""
    user = _require_object(payload, "user")
    compliance = _object_or_empty(user.get("compliance"))
    background_check = _object_or_empty(compliance.get("background_check"))
    has_criminal_activity = fields.read_flag(compliance.get("has_criminal_activity"))
    if has_criminal_activity is None:  # Older accounts have it at the top level.
        has_criminal_activity = fields.read_flag(user.get("has_criminal_activity"))
    return UserSnapshot(
        id=_require_id(user, "user"),
        status=fields.read_text(user.get("status"), limit=_NAME_LIMIT),
        id_verified=fields.read_flag(compliance.get("id_verified")),
        check_status=fields.read_text(background_check.get("status"), limit=_NAME_LIMIT),
        has_criminal_activity=has_criminal_activity,
        older_check_failed=_OLDER_CHECK.get(fields.read_text(user.get("sex_offender_check_status"), limit=_NAME_LIMIT)),
    )


def write_flow(
    *,
    steps: Sequence[str | dict[str, Any]],
    user_id: str | None,
    require_auth: bool,
    hide_go_to_dashboard_on_complete: bool,
    metadata: dict[str, Any] | str | None,
    client_ref: str,
) -> dict[str, Any]:
    """Return the body that creates a flow, without the fields that have Dots' default."""
    body: dict[str, Any] = {"steps": list(steps), "metadata": flow_metadata.wrap(metadata, client_ref)}
    if user_id is not None:
        body["user_id"] = user_id
    if require_auth:
        body["require_auth"] = True
    if hide_go_to_dashboard_on_complete:
        body["hide_go_to_dashboard_on_complete"] = True
    return body


def _object_or_empty(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _require_object(payload: object, what: str) -> dict[str, Any]:
    if not isinstance(payload, dict):
        raise DotsInvalidResponseError(f"Dots returned something that is not a {what}.")
    return payload


def _require_id(content: dict[str, Any], what: str) -> str:
    found = fields.read_id(content.get("id"))
    if found is None:
        raise DotsInvalidResponseError(f"Dots returned a {what} without a readable `id`.")
    return found


def _read_step_names(entries: object, field: str) -> tuple[str, ...]:
    """Read the names in a list of steps, known or not. An unreadable one raises: it may decide completeness."""
    if not isinstance(entries, list):
        raise DotsInvalidResponseError(f"Dots returned a flow whose `{field}` is not a list.")
    return tuple(_read_step_name(entry, field) for entry in entries)


def _read_step_name(entry: object, field: str) -> str:
    name = entry.get("name") if isinstance(entry, dict) else entry
    text = fields.read_text(name, limit=_NAME_LIMIT)
    if text is None:
        raise DotsInvalidResponseError(f"Dots returned a flow with an unreadable step in `{field}`.")
    return text
