"""Flows and users as JSON."""

import ipaddress
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StringConstraints
from pydantic.config import JsonDict

from app.flows.flow_rows import FlowRecord, StepRecord
from app.flows.rules.flow_request import FlowRequest
from app.flows.rules.progress import StepState
from app.flows.user_rows import UserRecord
from app.settings import DEFAULT_APP
from app.web import examples

DiscoveredBy = Literal["create", "webhook", "sweep", "refresh"]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


def _address(text: str) -> str:
    """The address in its usual form. Raises ValueError, which does not quote it."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError("must be an IPv4 or IPv6 address") from None
    if "%" in text:
        raise ValueError("must be an IPv4 or IPv6 address without a zone")
    return str(address)


Address = Annotated[str, StringConstraints(max_length=45), AfterValidator(_address)]

_STEP_SCHEMA: JsonDict = {
    "anyOf": [
        {"type": "string"},
        {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    ]
}


class NewFlow(BaseModel):
    """A flow to create. `reference` is your own id for it: not sent to Dots, searchable.

    It is on every event of the flow, and in `flows` on the events of its user.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [examples.NEW_FLOW]})

    # Checked by the rules, whose complaints name the field; the union of types here would name itself.
    steps: Annotated[Any, Field(json_schema_extra={"type": "array", "minItems": 1, "items": _STEP_SCHEMA})]
    user_id: UUID | None = None
    require_auth: StrictBool = False
    hide_go_to_dashboard_on_complete: StrictBool = False
    metadata: Annotated[
        Any, Field(json_schema_extra={"anyOf": [{"type": "object"}, {"type": "string"}, {"type": "null"}]})
    ] = None
    reference: Text | None = None
    app: Text = DEFAULT_APP
    user_ip: Annotated[
        Address | None,
        Field(description="The payee's IPv4 or IPv6 address, for Dots' checks. It goes to Dots and is not stored."),
    ] = None

    def as_request(self) -> FlowRequest:
        """The same in the words of the rules."""
        return FlowRequest(
            app=self.app,
            steps=self.steps,
            user_id=None if self.user_id is None else str(self.user_id),
            require_auth=self.require_auth,
            hide_go_to_dashboard_on_complete=self.hide_go_to_dashboard_on_complete,
            metadata=self.metadata,
            reference=self.reference,
        )


class StepShape(BaseModel):
    """A step; `completed_at` is when it was found done, `discovered_by` what made the gateway look."""

    name: str
    state: Annotated[
        StepState,
        Field(
            description="`passed_over`: a later step is done, so that Dots may have skipped this one, which Dots does "
            "not say. `not_awaited`: the flow is complete without it; a redirect, which Dots may never report, or a "
            "step that Dots no longer lists. More states may come."
        ),
    ]
    completed_at: datetime | None
    discovered_by: DiscoveredBy | None

    @classmethod
    def of(cls, step: StepRecord, state: StepState) -> Self:
        """The shape of a stored step in this state."""
        return cls(
            name=step.name,
            state=state,
            completed_at=step.completed_at,
            discovered_by=step.discovered_by,
        )


class CreationFailure(BaseModel):
    """Why a creation failed: the error code the caller got, and Dots' HTTP status, null if Dots did not answer."""

    code: str
    dots_status: int | None = None


class FlowShape(BaseModel):
    """A flow. `id` is Dots' and null while `creating` or `failed`; `link` is null to keys without flows:write.

    `error` is there only when the flow has `failed`.
    """

    model_config = examples.shown(examples.FLOW)

    id: str | None
    app: str
    caller: str | None
    reference: str | None
    status: Literal["creating", "open", "completed", "failed"]
    link: str | None
    user_id: str | None
    payout_link_id: str | None
    metadata: dict[str, Any] | str | None
    steps: list[StepShape]
    error: CreationFailure | None
    created_at: datetime
    completed_at: datetime | None
    refreshed_at: datetime | None

    @classmethod
    def of(cls, flow: FlowRecord, *, with_link: bool) -> Self:
        """The shape of a stored flow; its link lets whoever holds it act as the payee."""
        return cls.model_validate(
            {
                **{name: getattr(flow, name) for name in cls.model_fields if name not in ("steps", "link")},
                "link": flow.link if with_link else None,
                "steps": [StepShape.of(*each) for each in zip(flow.steps, flow.progress.states, strict=True)],
            }
        )


class CreatedFlow(FlowShape):
    """A flow just created. `warnings` are sentences about what may be a mistake in the request; absent without any.

    A repeat with the same `Idempotency-Key` has the same warnings.
    """

    model_config = examples.shown({**examples.FLOW, "warnings": ["did you mean compliance?"]})

    warnings: list[str] = []

    @staticmethod
    def answer(flow: FlowRecord, warnings: list[str]) -> dict[str, Any]:
        """The JSON of a flow with its link, and these warnings."""
        shown = FlowShape.of(flow, with_link=True).model_dump(mode="json")
        return {**shown, "warnings": warnings} if warnings else shown


class FlowPage(BaseModel):
    """Flows, newest first; give `next_cursor` as `after` for the next page, null when there is none."""

    model_config = examples.shown({"flows": [examples.FLOW], "next_cursor": examples.PLACE, "has_more": True})

    flows: list[FlowShape]
    next_cursor: str | None
    has_more: bool


class BackgroundCheck(BaseModel):
    """What is known of a background check; `status` and `has_criminal_activity` as Dots gives them."""

    verdict: Annotated[
        Literal["none", "pending", "needs_review", "cleared", "flagged"],
        Field(
            description="`needs_review`: the check has ended or halted without a finding (`status` is `consider`, "
            "`information_mismatch`, `canceled`, `expired` or `failed`), or it is a `pass` beside an older check that "
            "failed; a person must look at it at Dots. More verdicts may come."
        ),
    ]
    status: str | None
    has_criminal_activity: bool | None
    older_check_failed: Annotated[
        bool | None,
        Field(description="Of users from before 2026, whose check had two parts: whether the other part failed."),
    ]


class UserShape(BaseModel):
    """A user, as far as it is kept; `background_check` is null to keys without compliance:read."""

    model_config = examples.shown(examples.USER)

    id: str
    app: str
    status: str | None
    id_verified: bool | None
    background_check: BackgroundCheck | None
    refreshed_at: datetime | None

    @classmethod
    def of(cls, user: UserRecord, *, with_check: bool) -> Self:
        """The shape of a stored user."""
        standing = user.standing
        check = BackgroundCheck(
            verdict=standing.verdict.value,
            status=standing.check_status,
            has_criminal_activity=standing.has_criminal_activity,
            older_check_failed=standing.older_check_failed,
        )
        return cls(
            id=user.id,
            app=user.app,
            status=standing.status,
            id_verified=standing.id_verified,
            background_check=check if with_check else None,
            refreshed_at=user.refreshed_at,
        )
