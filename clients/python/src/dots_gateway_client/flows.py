"""Flows, parsed from the gateway's JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal, Self, cast

from dots_gateway_client.errors import MalformedAnswerError


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step. `completed_at` is when the gateway found it completed; `discovered_by` is what caused that refresh.

    `passed_over`: a later step is completed, so Dots may have skipped this one. `not_awaited`: the flow is complete
    without this step, for example a redirect. A newer gateway can have other states.
    """

    name: str
    state: Literal["pending", "passed_over", "completed", "not_awaited"]
    completed_at: datetime | None
    discovered_by: str | None


@dataclass(frozen=True, kw_only=True)
class CreationFailure:
    """Why the creation failed: the error code, and Dots' HTTP status if Dots answered."""

    code: str
    dots_status: int | None


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A flow. `id` is None for `creating` and `failed` flows. `link` is None for keys without flows:write."""

    id: str | None
    app: str
    caller: str | None
    reference: str | None
    status: Literal["creating", "open", "completed", "failed"]
    # The link lets its holder act as the payee, so keep it out of logs.
    link: str | None = field(repr=False)
    user_id: str | None
    payout_link_id: str | None
    metadata: Mapping[str, Any] | str | None
    steps: tuple[Step, ...]
    error: CreationFailure | None
    created_at: datetime
    completed_at: datetime | None
    refreshed_at: datetime | None

    @classmethod
    def parse(cls, answer: object) -> Self:
        """The flow in the gateway's JSON. Ignores unknown fields. Raises MalformedAnswerError."""
        try:
            known = _known(cls, answer)
            steps = tuple(Step(**_known(Step, step)) for step in known["steps"])
            error = known["error"] and CreationFailure(**_known(CreationFailure, known["error"]))
            return cls(**known | {"steps": steps, "error": error})
        except (KeyError, TypeError, ValueError) as error:
            raise MalformedAnswerError("The answer is not a flow. Is this the URL of dots-gateway?") from error


@dataclass(frozen=True, kw_only=True)
class CreatedFlow(Flow):
    """A newly created flow. `warnings` describes possible mistakes in the request."""

    warnings: tuple[str, ...]


def _known(kind: type[Flow | Step | CreationFailure], answer: object) -> dict[str, Any]:
    """The values for the fields of this class. Raises KeyError, TypeError or ValueError."""
    given = cast("Mapping[str, Any]", answer)
    # Gateways older than 2026-12 have neither field.
    given = {"error": None, "warnings": (), **given}
    return {each.name: _value(each.name, given[each.name]) for each in fields(kind)}


def _value(name: str, value: Any) -> Any:
    if name == "warnings":
        return tuple(str(warning) for warning in value)
    return datetime.fromisoformat(value) if name.endswith("_at") and value is not None else value
