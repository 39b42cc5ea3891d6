"""The JSON Schemas of the `data` of events. `docs/events` is generated from here (`make contracts`)."""

from collections.abc import Mapping
from typing import Any

from pydantic.config import JsonDict

PREFIX = "urn:dots-gateway:schemas/"

_EXAMPLES: JsonDict = {
    "flow_id": "b3293101-5d8c-4d6e-9c55-5b1f0a7c8d11",
    "reference": "payee-17",
    "user_id": "4a1c5e0e-7f3b-4d52-9d43-0f2a7c1b6e90",
    "step": "compliance",
    "check_status": "consider",
    "previous": None,
    "flows": [{"flow_id": "b3293101-5d8c-4d6e-9c55-5b1f0a7c8d11", "reference": "payee-17"}],
    "subscription_id": "0b1c2d3e-4f50-4617-8a9b-acbdcedfe0f1",
}

_FLOW: JsonDict = {
    "flow_id": {"type": "string", "description": "Dots' id of the flow."},
    "reference": {
        "type": ["string", "null"],
        "description": "The caller's own id from POST /v1/flows. Null for flows created elsewhere.",
    },
}
_FLOW_OF_USER: JsonDict = {
    **_FLOW,
    "user_id": {
        "type": ["string", "null"],
        "description": "Dots' id of the payee's user. Null while the flow is unclaimed.",
    },
}
_USER: JsonDict = {"user_id": {"type": "string", "description": "Dots' id of the user."}}
_STEP: JsonDict = {"step": {"type": "string", "description": "Dots' name of the step."}}
_CHECK_STATUS: JsonDict = {
    "check_status": {
        "type": "string",
        "description": "Dots' status of the check: consider, information_mismatch, canceled, expired or failed; "
        "or pass, if an older check of the user has failed.",
    }
}
_PASSED_OVER: JsonDict = {
    "passed_over": {
        "type": "array",
        "minItems": 1,
        "items": {"type": "string"},
        "description": "The steps that are not done although a later step is. Dots may have skipped them. "
        "Present only with the setting DOTS_COMPLETE_PASSED_OVER.",
    }
}
_SUBSCRIPTION: JsonDict = {
    "subscription_id": {"type": "string", "format": "uuid", "description": "The subscription under test."}
}


def _previous(verdict: str, meaning: str) -> JsonDict:
    return {"previous": {"enum": [verdict, None], "description": meaning}}


def _flows(step: str, *, is_optional: bool = True) -> JsonDict:
    return {
        "flows": {
            "type": "array",
            "maxItems": 100,
            "description": f"The user's flows that have the step {step}, or all of the user's flows if none has it. "
            "Newest first, at most 100. Empty if no flow of the user is known."
            + (" Absent from events that are older than this field." if is_optional else ""),
            "items": {"type": "object", "required": list(_FLOW), "properties": _FLOW},
        }
    }


def _schema(name: str, description: str, fields: JsonDict, optional: JsonDict | None = None) -> Mapping[str, Any]:
    """The schema of one event type; its example shows every field that consumers can expect."""
    shown = {**fields, **(optional or {})}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{PREFIX}{name}/v1.json",
        "title": f"data of dots.{name}",
        "description": description,
        "type": "object",
        "required": list(fields),
        "properties": shown,
        "examples": [
            {
                field: None if (name, field) == ("flow.created", "user_id") else _EXAMPLES[field]
                for field in shown
                if field in _EXAMPLES
            }
        ],
    }


_REVERSED = "The verdict of an earlier event that this event reverses. Null if there is none."

_SCHEMAS = [
    _schema(
        "background_check.cleared",
        "A background check has passed. Needs compliance:read.",
        {**_USER, **_previous("flagged", _REVERSED)},
        _flows("background-check"),
    ),
    _schema(
        "background_check.flagged",
        "A background check has flagged criminal activity. Needs compliance:read.",
        {**_USER, **_previous("cleared", _REVERSED)},
        _flows("background-check"),
    ),
    _schema(
        "background_check.needs_review",
        "A background check has ended or halted without a finding. A person must look at it. "
        "Sent once for each of Dots' statuses. A verdict may follow. Needs compliance:read.",
        {
            **_USER,
            **_CHECK_STATUS,
            **_previous(
                "cleared",
                "The verdict of an earlier event that this event withdraws, because an older check has failed. "
                "Null if there is none.",
            ),
            **_flows("background-check", is_optional=False),
        },
    ),
    _schema("flow.claimed", "A user has claimed a flow that was created without a user.", _FLOW_OF_USER),
    _schema("flow.completed", "Every step of the flow is done.", _FLOW_OF_USER, _PASSED_OVER),
    _schema("flow.created", "The flow exists at Dots.", _FLOW_OF_USER),
    _schema(
        "flow.step_completed",
        "The payee has completed a step. A background check is then submitted, not passed.",
        {**_FLOW_OF_USER, **_STEP},
    ),
    _schema(
        "subscription.test",
        "A test of one subscription. Sent to that subscription only, never in the feed.",
        _SUBSCRIPTION,
    ),
    _schema("user.id_verified", "Dots has verified the user's identity.", _USER, _flows("id-verification")),
]


def published() -> Mapping[str, Mapping[str, Any]]:
    """Every schema by its name as in `dataschema`, such as `flow.completed/v1.json`, in order of name."""
    return {str(schema["$id"]).removeprefix(PREFIX): schema for schema in _SCHEMAS}


def of_type(event_type: str) -> tuple[str, Mapping[str, Any]]:
    """The name and the schema that events of this type name as their `dataschema`. Raises KeyError."""
    name = f"{event_type.removeprefix('dots.')}/v1.json"
    return name, published()[name]
