"""A caller's request for a flow: its checks and its fingerprint."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.errors import FieldProblem
from app.flows.rules import steps as flow_steps

# Dots documents no limits. These are common ones, less one key for our own reference.
METADATA_KEYS_LIMIT = 49
METADATA_KEY_LIMIT_CHARACTERS = 40
METADATA_VALUE_LIMIT_CHARACTERS = 500
RESERVED_PREFIX = "dots_gateway_"
# Copying and writing JSON recurses into each level, and a body of 1 MiB can be deeper than Python's stack.
NESTING_LIMIT = 64


@dataclass(frozen=True, kw_only=True)
class FlowRequest:
    """The flow that a caller wants. `reference` is the caller's own id, which Dots does not get."""

    app: str
    steps: Sequence[flow_steps.Step]
    user_id: str | None = None
    require_auth: bool = False
    hide_go_to_dashboard_on_complete: bool = False
    metadata: dict[str, Any] | str | None = None
    reference: str | None = None


def as_json(request: FlowRequest) -> dict[str, Any]:
    """Return the request as plain JSON data, for the intent row."""
    return asdict(request)


def fingerprint(request: FlowRequest) -> bytes:
    """Return 32 bytes that are equal for equal requests, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(as_json(request), sort_keys=True).encode()).digest()


def check(request: FlowRequest, *, allows_localhost: bool = False) -> list[FieldProblem]:
    """Return the problems of the request, or an empty list. `allows_localhost` as in `steps.check`."""
    fields = {"steps": request.steps, "metadata": request.metadata, "reference": request.reference}
    unstorable = [FieldProblem(name, "is not plain JSON") for name, value in fields.items() if not is_storable(value)]
    if unstorable:
        return unstorable
    return flow_steps.check(request.steps, allows_localhost=allows_localhost) + _check_metadata(request.metadata)


def _check_metadata(metadata: object) -> list[FieldProblem]:
    if metadata is None:
        return []
    if isinstance(metadata, str):
        too_long = len(metadata) > METADATA_VALUE_LIMIT_CHARACTERS
        limit = f"must have at most {METADATA_VALUE_LIMIT_CHARACTERS} characters"
        return [FieldProblem("metadata", limit)] if too_long else []
    if not isinstance(metadata, dict):
        return [FieldProblem("metadata", "must be a text or an object")]
    problems: list[FieldProblem] = []
    if len(metadata) > METADATA_KEYS_LIMIT:
        problems.append(FieldProblem("metadata", f"must have at most {METADATA_KEYS_LIMIT} keys"))
    for key, value in metadata.items():
        field = f"metadata.{key[:METADATA_KEY_LIMIT_CHARACTERS]}"
        if len(key) > METADATA_KEY_LIMIT_CHARACTERS:
            problems.append(FieldProblem(field, f"keys have at most {METADATA_KEY_LIMIT_CHARACTERS} characters"))
        if key.startswith(RESERVED_PREFIX):
            problems.append(FieldProblem(field, f"keys that begin with {RESERVED_PREFIX} are the gateway's own"))
        if len(value if isinstance(value, str) else json.dumps(value)) > METADATA_VALUE_LIMIT_CHARACTERS:
            problems.append(FieldProblem(field, f"values have at most {METADATA_VALUE_LIMIT_CHARACTERS} characters"))
    return problems


def is_storable(value: object) -> bool:
    """Whether the value is not too deep and has none of what Postgres refuses: NUL, lone surrogates, NaN."""
    if not _is_shallow(value):
        return False
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except ValueError:  # A lone surrogate raises UnicodeEncodeError, which is a ValueError.
        return False
    return "\\u0000" not in text.replace("\\\\", "")


def _is_shallow(value: object) -> bool:
    layer = [value]
    for _ in range(NESTING_LIMIT):
        containers = [item for item in layer if isinstance(item, dict | list)]
        layer = [inner for item in containers for inner in (item.values() if isinstance(item, dict) else item)]
        if not layer:
            return True
    return False
