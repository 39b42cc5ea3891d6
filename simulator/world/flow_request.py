"""Reads and checks the body of `POST /v2/flows`."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulator.errors import invalid_input
from simulator.knobs import Unknowns
from simulator.world import step_options
from simulator.world.flow import Step

_METADATA_KEYS = 50
_METADATA_KEY_CHARACTERS = 40
_METADATA_VALUE_CHARACTERS = 500


@dataclass(frozen=True, kw_only=True)
class FlowRequest:
    """A checked request for a flow. Whether its user exists is not checked."""

    steps: tuple[Step, ...]
    user_id: str | None
    require_auth: bool
    hides_dashboard: bool
    metadata: Any


def read(body: Any, unknowns: Unknowns) -> FlowRequest:
    """Check a decoded JSON body. Unknown fields are ignored.

    Raises:
        RefusalError: the body breaks a documented rule. The message names the field.
    """
    if not isinstance(body, dict):
        raise invalid_input("The request body must be a JSON object")
    return FlowRequest(
        steps=_steps(body.get("steps"), unknowns),
        user_id=_user_id(body.get("user_id")),
        require_auth=_flag(body, "require_auth"),
        hides_dashboard=_flag(body, "hide_go_to_dashboard_on_complete"),
        metadata=_metadata(body.get("metadata"), unknowns),
    )


def _steps(value: Any, unknowns: Unknowns) -> tuple[Step, ...]:
    if not isinstance(value, list) or not value:
        raise invalid_input("steps: must be an array of at least one step")
    steps = tuple(_step(item) for item in value)
    if len({step.name for step in steps}) < len(steps):
        raise invalid_input("steps: must be unique")
    for step in steps:
        if not step_options.is_listed(step.name) and unknowns.unknown_steps == "refused":
            raise invalid_input(f"steps: {step.name[:60]} is not a valid step")
        step_options.check(step.name, step.options, unknowns)
    return steps


def _step(item: Any) -> Step:
    """One entry of `steps`: a name, or an object with a name and options."""
    name = item.get("name") if isinstance(item, dict) else item
    if not isinstance(name, str) or not name:
        raise invalid_input("steps: each must be a name or an object with a name")
    options = {key: value for key, value in item.items() if key != "name"} if isinstance(item, dict) else {}
    return Step(name=name, options=options)


def _user_id(value: Any) -> str | None:
    if value is None:
        return None
    try:
        return str(uuid.UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise invalid_input("user_id: must be a UUID") from None


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise invalid_input(f"{name}: must be a boolean")
    return value


def _metadata(value: Any, unknowns: Unknowns) -> Any:
    if value is not None and not isinstance(value, str | dict):
        raise invalid_input("metadata: must be a string or an object")
    if unknowns.metadata_limits and isinstance(value, dict):
        too_long = any(
            len(key) > _METADATA_KEY_CHARACTERS or len(str(content)) > _METADATA_VALUE_CHARACTERS
            for key, content in value.items()
        )
        if len(value) > _METADATA_KEYS or too_long:
            raise invalid_input("metadata: too many keys, or a key or value is too long")
    return value
