"""What the published documents show as examples: one payee's story, the same ids throughout."""

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

# Of every path parameter there is; the document's test says when one is missing.
PATH_PARAMETERS: dict[str, str] = {
    "app": "default",
    "event_id": EVENT_ID,
    "flow_id": FLOW_ID,
    "message_id": MESSAGE_ID,
    "name": "flow.completed",
    "subscription_id": SUBSCRIPTION_ID,
    "user_id": USER_ID,
    "version": "v1",
}

NEW_FLOW: JsonDict = {
    "steps": ["compliance", {"name": "manage-payouts", "hide_continue_button": True}],
    "reference": "payee-17",
    "metadata": {"team": "eu"},
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
        {"name": "compliance", "state": "completed", "completed_at": COMPLETED_AT, "discovered_by": "webhook"},
        {"name": "manage-payouts", "state": "pending", "completed_at": None, "discovered_by": None},
    ],
    "error": None,
    "created_at": CREATED_AT,
    "completed_at": None,
    "refreshed_at": COMPLETED_AT,
}

TIMELINE: JsonDict = {
    "flow_id": FLOW_ID,
    "entries": [
        {
            "kind": "webhook",
            "at": COMPLETED_AT,
            "message_id": MESSAGE_ID,
            "event": "flow.updated",
            "received_count": 1,
            "last_received_at": COMPLETED_AT,
            "handled": True,
        },
        {"kind": "refresh", "at": COMPLETED_AT, "due_by": "webhook", "outcome": "grown"},
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
    ],
}

USER: JsonDict = {
    "id": USER_ID,
    "app": "default",
    "status": "verified",
    "id_verified": True,
    "background_check": {
        "verdict": "cleared",
        "status": "pass",
        "has_criminal_activity": False,
        "older_check_failed": None,
    },
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


def shown(*found: JsonDict) -> ConfigDict:
    """The configuration of a shape that is documented with these examples."""
    return ConfigDict(json_schema_extra={"examples": list(found)})
