"""The examples in the published documents. They all show the same payee and the same ids."""

from pydantic import ConfigDict
from pydantic.config import JsonDict

FLOW_ID = "b3293101-5d8c-4d6e-9c55-5b1f0a7c8d11"
USER_ID = "4a1c5e0e-7f3b-4d52-9d43-0f2a7c1b6e90"
EVENT_ID = "3d92084b-a452-5afd-9bf6-d32be4d659e7"
SUBSCRIPTION_ID = "0b1c2d3e-4f50-4617-8a9b-acbdcedfe0f1"
MESSAGE_ID = "msg_2b3NHkYbJwRmGQmYdLKmMvPq7Wz"
CURSOR = "ZmVlZAowMDAxMDIwMzA0MDUwNjA3MDgwOTBhMGIwYzBkMGUwZgo0Mg"
PLACE = "Zmxvd3MKMjAyNi0xMS0yMlQxMDowMDowMCswMDowMAowYjFjMmQzZTRmNTA0NjE3OGE5YmFjYmRjZWRmZTBmMQ"

CREATED_AT = "2026-11-22T10:00:00Z"
COMPLETED_AT = "2026-11-22T10:04:31.250000Z"

# What every path parameter means, and an example of it.
PATH_PARAMETERS: dict[str, tuple[str, str]] = {
    "app": ("The name of a Dots app in the gateway's settings.", "default"),
    "event_id": ("The id of an event.", EVENT_ID),
    "flow_id": ("Dots' id of a flow.", FLOW_ID),
    "message_id": ("Dots' id of a webhook.", MESSAGE_ID),
    "name": ("The event type without `dots.`.", "flow.completed"),
    "subscription_id": ("The id of a subscription.", SUBSCRIPTION_ID),
    "user_id": ("Dots' id of a user.", USER_ID),
    "version": ("The version of the schema.", "v1"),
}

# Examples of the fields and parameters that have no value in the examples below, by name.
NAMED: JsonDict = {
    "after": PLACE,
    "app": "default",
    "completed_at": COMPLETED_AT,
    "created_before": COMPLETED_AT,
    "created_from": CREATED_AT,
    "description": "Orders wait for onboarded payees",
    "dots_error_code": "invalid_request",
    "error": "status_500",
    "event": "flow.updated",
    "failing_since": "2026-11-23T12:00:00Z",
    "hide_go_to_dashboard_on_complete": True,
    "held_until": "2026-11-23T12:05:00Z",
    "idempotency-key": "payee-17-onboarding",
    "last-event-id": CURSOR,
    "last_error": "status_500",
    "limit": 50,
    "next_cursor": PLACE,
    "older_check_failed": False,
    "paused_at": "2026-11-26T12:00:00Z",
    "paused_by": "failing",
    "payout_link_id": "9f1d7c52-3e0b-4a76-8d19-6c2b5e4f7a80",
    "received_before": COMPLETED_AT,
    "received_from": CREATED_AT,
    "reference": "payee-17",
    "require_auth": True,
    "state": "dead",
    "status": "open",
    "step": "compliance",
    "subject_id": FLOW_ID,
    "until": "2026-11-23T12:00:00Z",
    "url": "https://orders.svc.cluster.local/dots-events",
    "user_id": USER_ID,
    "user_ip": "203.0.113.7",
    "wait": 20,
    "with_compliance": True,
}

NEW_FLOW: JsonDict = {
    "steps": ["compliance", {"name": "manage-payouts", "hide_continue_button": True}],
    "reference": "payee-17",
    "metadata": {"team": "eu"},
}

STEP: JsonDict = {
    "name": "compliance",
    "state": "completed",
    "completed_at": COMPLETED_AT,
    "discovered_by": "webhook",
}

FLOW: JsonDict = {
    "id": FLOW_ID,
    "app": "default",
    "caller": "shop",
    "reference": "payee-17",
    "status": "open",
    "link": "https://my.dots.dev/flow/EXAMPLE",
    "user_id": USER_ID,
    "payout_link_id": None,
    "metadata": {"team": "eu"},
    "steps": [
        STEP,
        {"name": "manage-payouts", "state": "pending", "completed_at": None, "discovered_by": None},
    ],
    "error": None,
    "created_at": CREATED_AT,
    "completed_at": None,
    "refreshed_at": COMPLETED_AT,
}

_ENTRIES: list[JsonDict] = [
    {
        "kind": "webhook",
        "at": COMPLETED_AT,
        "message_id": MESSAGE_ID,
        "event": "flow.updated",
        "received_count": 1,
        "last_received_at": COMPLETED_AT,
        "handled": True,
    },
    {"kind": "refresh", "at": COMPLETED_AT, "due_by": "webhook", "outcome": "changed"},
    {"kind": "step", "at": COMPLETED_AT, "step": "compliance", "discovered_by": "webhook"},
    {
        "kind": "event",
        "at": COMPLETED_AT,
        "event_id": EVENT_ID,
        "type": "dots.flow.step_completed",
        "subject": f"flow/{FLOW_ID}",
        "position": 42,
    },
    {
        "kind": "delivery",
        "at": COMPLETED_AT,
        "subscription_id": SUBSCRIPTION_ID,
        "event_id": EVENT_ID,
        "type": "dots.flow.step_completed",
        "state": "delivered",
        "failed_attempts": 0,
        "settled_at": COMPLETED_AT,
    },
]
TIMELINE: JsonDict = {"flow_id": FLOW_ID, "entries": [*_ENTRIES]}

BACKGROUND_CHECK: JsonDict = {
    "verdict": "cleared",
    "status": "pass",
    "has_criminal_activity": False,
    "older_check_failed": None,
}

USER: JsonDict = {
    "id": USER_ID,
    "app": "default",
    "status": "verified",
    "id_verified": True,
    "background_check": BACKGROUND_CHECK,
    "refreshed_at": COMPLETED_AT,
}

EVENT: JsonDict = {
    "specversion": "1.0",
    "id": EVENT_ID,
    "source": "/dots-gateway/default",
    "type": "dots.flow.step_completed",
    "subject": f"flow/{FLOW_ID}",
    "time": COMPLETED_AT,
    "datacontenttype": "application/json",
    "dataschema": "urn:dots-gateway:schemas/flow.step_completed/v1.json",
    "sequence": "3",
    "data": {"flow_id": FLOW_ID, "reference": "payee-17", "user_id": USER_ID, "step": "compliance"},
}

WEBHOOK: JsonDict = {
    "app": "default",
    "message_id": MESSAGE_ID,
    "event": "flow.updated",
    "subject_kind": "flow",
    "subject_id": FLOW_ID,
    "received_at": COMPLETED_AT,
    "last_received_at": COMPLETED_AT,
    "received_count": 1,
    "state": "handled",
    "last_error": None,
}

PROBLEM: JsonDict = {
    "type": "urn:dots-gateway:problem:invalid_fields",
    "title": "Invalid fields",
    "status": 422,
    "code": "invalid_fields",
    "detail": "Some fields of the request are not valid.",
    "errors": [{"field": "steps.0", "message": "must be a step's name, or an object with one as `name`"}],
}


FAILURE: JsonDict = {"code": "dots_refused", "dots_status": 400}


def entry(kind: str) -> JsonDict:
    """Return the entry of this kind from the example of a timeline."""
    return next(each for each in _ENTRIES if each["kind"] == kind)


def shown(*found: JsonDict) -> ConfigDict:
    """Return the configuration of a schema with these examples. The docstring of a field is its description."""
    return ConfigDict(json_schema_extra={"examples": list(found)}, use_attribute_docstrings=True)


def strict(*found: JsonDict) -> ConfigDict:
    """Return the same for a schema that allows no other fields."""
    return ConfigDict(**shown(*found), extra="forbid")
