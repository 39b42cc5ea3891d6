"""Flows as the gateway describes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal, Self, cast

from dots_gateway_client.errors import MalformedAnswerError


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step; `completed_at` is when it was found done, `discovered_by` what made the gateway look.

    `passed_over`: a later step is done, so that Dots may have skipped this one. `not_awaited`: the flow is complete
    without it, as without a redirect. A newer gateway may say other states.
    """

    name: str
    state: Literal["pending", "passed_over", "completed", "not_awaited"]
    completed_at: datetime | None
    discovered_by: str | None


@dataclass(frozen=True, kw_only=True)
class CreationFailure:
    """Why Dots made no flow: the error code of the creation, and Dots' HTTP status if it answered."""

    code: str
    dots_status: int | None


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A flow; `id` is None while it is `creating` or when it `failed`, `link` is None for keys without flows:write."""

    id: str | None
    app: str
    caller: str | None
    reference: str | None
    status: Literal["creating", "open", "completed", "failed"]
    # Whoever holds the link may act as the payee, so that it stays out of logs.
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
        """The flow in the gateway's JSON; fields unknown here are passed over. Raises MalformedAnswerError."""
        try:
            known = _known(cls, answer)
            steps = tuple(Step(**_known(Step, step)) for step in known["steps"])
            error = known["error"] and CreationFailure(**_known(CreationFailure, known["error"]))
            return cls(**known | {"steps": steps, "error": error})
        except (KeyError, TypeError, ValueError) as error:
            raise MalformedAnswerError("The answer is not a flow; is the URL that of dots-gateway?") from error


@dataclass(frozen=True, kw_only=True)
class CreatedFlow(Flow):
    """A flow just created; `warnings` are sentences about what may be a mistake in the request."""

    warnings: tuple[str, ...]


def _known(kind: type[Flow | Step | CreationFailure], answer: object) -> dict[str, Any]:
    """The fields of this kind, times read. Raises KeyError, TypeError, ValueError."""
    given = cast("Mapping[str, Any]", answer)
    # A gateway of before 2026-12 has neither of these.
    given = {"error": None, "warnings": (), **given}
    return {each.name: _value(each.name, given[each.name]) for each in fields(kind)}


def _value(name: str, value: Any) -> Any:
    if name == "warnings":
        return tuple(str(warning) for warning in value)
    return datetime.fromisoformat(value) if name.endswith("_at") and value is not None else value
