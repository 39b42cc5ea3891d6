"""Flows and users as JSON."""

import ipaddress
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, StrictBool, StringConstraints
from pydantic.config import JsonDict

from app.flows.flow_rows import FlowRecord, StepRecord
from app.flows.rules.flow_request import FlowRequest
from app.flows.rules.progress import StepState
from app.flows.user_rows import UserRecord
from app.settings import DEFAULT_APP
from app.web import examples
from app.web.lists import HasMore, NextCursor

DiscoveredBy = Literal["create", "webhook", "sweep", "refresh"]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


def _address(text: str) -> str:
    """Return the address in its usual form. Raises ValueError, which does not quote it."""
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
        {
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": "Dots' name of the step.", "examples": ["compliance"]}
            },
            "required": ["name"],
        },
    ]
}


class NewFlow(BaseModel):
    """A flow to create. `reference` also appears in `flows` on the events of the flow's user."""

    model_config = examples.strict(examples.NEW_FLOW)

    # The rules check it, because their errors name the field. Pydantic's errors would name members of the union.
    steps: Annotated[Any, Field(json_schema_extra={"type": "array", "minItems": 1, "items": _STEP_SCHEMA})]
    """The steps that the payee goes through, in this order: names, or objects with `name` and the options of the step.

    """
    user_id: UUID | None = None
    """Dots' id of the payee's user. Null: the payee identifies themselves, and the flow is claimed later."""
    require_auth: StrictBool = False
    """Whether the payee must sign in. Otherwise a link with `user_id` is signed in for 15 minutes."""
    hide_go_to_dashboard_on_complete: StrictBool = False
    """Dots' option of this name, passed on unchanged."""
    metadata: Annotated[
        Any, Field(json_schema_extra={"anyOf": [{"type": "object"}, {"type": "string"}, {"type": "null"}]})
    ] = None
    """Your own data, an object or a text. Dots stores it and every answer about the flow returns it."""
    reference: Text | None = None
    """Your own id of the flow. Searchable, on every event of the flow, and not sent to Dots."""
    app: Text = DEFAULT_APP
    """The Dots app that creates the flow."""
    user_ip: Annotated[
        Address | None,
        Field(description="The payee's IPv4 or IPv6 address, for Dots' checks. The gateway does not store it."),
    ] = None

    def as_request(self) -> FlowRequest:
        """Return the request for the rules."""
        return FlowRequest(
            app=self.app,
            steps=self.steps,
            user_id=None if self.user_id is None else str(self.user_id),
            require_auth=self.require_auth,
            hide_go_to_dashboard_on_complete=self.hide_go_to_dashboard_on_complete,
            metadata=self.metadata,
            reference=self.reference,
        )


class StepResponse(BaseModel):
    """A step of a flow."""

    model_config = examples.shown(examples.STEP)

    name: str
    """Dots' name of the step."""
    state: Annotated[
        StepState,
        Field(
            description="`pending`; `completed`; `passed_over`: a later step is done, so Dots may have skipped this "
            "one; `not_awaited`: the flow is complete without it, because it is a redirect, which Dots may never "
            "report, or because Dots no longer lists it. More states may be added."
        ),
    ]
    completed_at: datetime | None
    """When the gateway found the step completed (UTC). Null until then."""
    discovered_by: DiscoveredBy | None
    """What made the gateway look when it found the step completed. Null until then."""

    @classmethod
    def of(cls, step: StepRecord, state: StepState) -> Self:
        """Build it from a stored step and its state."""
        return cls(
            name=step.name,
            state=state,
            completed_at=step.completed_at,
            discovered_by=step.discovered_by,
        )


class CreationFailure(BaseModel):
    """Why a creation failed."""

    model_config = examples.shown(examples.FAILURE)

    code: str
    """The error code that the caller got."""
    dots_status: int | None = None
    """Dots' HTTP status. Null if Dots did not answer."""


class FlowResponse(BaseModel):
    """A flow."""

    model_config = examples.shown(examples.FLOW)

    id: str | None
    """Dots' id of the flow. Null while the status is `creating` or `failed`."""
    app: str
    """The Dots app of the flow."""
    caller: str | None
    """The name of the API key that created the flow. Null for a flow created elsewhere."""
    reference: str | None
    """Your own id of the flow. Null if you gave none."""
    status: Literal["creating", "open", "completed", "failed"]
    """`creating`: Dots' answer is not known yet. `open`: Dots has the flow. `completed`: every step is done. `failed`:
    Dots refused it.
    """
    link: str | None
    """The URL that the payee opens. It is a secret. Null for keys without `flows:write`."""
    user_id: str | None
    """Dots' id of the payee's user. Null while the flow is unclaimed."""
    payout_link_id: str | None
    """Dots' id of the payout link. Null if Dots names none."""
    metadata: dict[str, Any] | str | None
    """The metadata given at creation."""
    steps: list[StepResponse]
    """The steps, in the order of the flow."""
    error: Annotated[CreationFailure | None, Field(examples=[examples.FAILURE])]
    """Why the creation failed. Null unless the status is `failed`."""
    created_at: datetime
    """When the flow was created (UTC)."""
    completed_at: datetime | None
    """When the gateway found the flow completed (UTC). Null until then."""
    refreshed_at: datetime | None
    """When Dots last answered about the flow (UTC). Null until then."""

    @classmethod
    def of(cls, flow: FlowRecord, *, with_link: bool) -> Self:
        """Build it from a stored flow. The link is a secret: its holder can act as the payee."""
        return cls.model_validate(
            {
                **{name: getattr(flow, name) for name in cls.model_fields if name not in ("steps", "link")},
                "link": flow.link if with_link else None,
                "steps": [StepResponse.of(*each) for each in zip(flow.steps, flow.progress.states, strict=True)],
            }
        )


class CreatedFlow(FlowResponse):
    """A new flow. A repeat with the same `Idempotency-Key` has the same warnings."""

    model_config = examples.shown({**examples.FLOW, "warnings": ["did you mean compliance?"]})

    warnings: list[str] = []
    """Possible mistakes in the request, one sentence each. Absent if there are none."""

    @staticmethod
    def answer(flow: FlowRecord, warnings: list[str]) -> dict[str, Any]:
        """Return the JSON of a flow with its link and these warnings."""
        shown = FlowResponse.of(flow, with_link=True).model_dump(mode="json")
        return {**shown, "warnings": warnings} if warnings else shown


class FlowPage(BaseModel):
    """A page of flows, newest first."""

    model_config = examples.shown({"flows": [examples.FLOW], "next_cursor": examples.PLACE, "has_more": True})

    flows: list[FlowResponse]
    """The flows of this page."""
    next_cursor: NextCursor
    has_more: HasMore


class BackgroundCheck(BaseModel):
    """The state of a user's background check."""

    model_config = examples.shown(examples.BACKGROUND_CHECK)

    verdict: Annotated[
        Literal["none", "pending", "needs_review", "cleared", "flagged"],
        Field(
            description="`none`, `pending`, `cleared`, `flagged`, or `needs_review`: a person must look at the check "
            "at Dots, because it has ended or halted without a finding (`status` is `consider`, "
            "`information_mismatch`, `canceled`, `expired` or `failed`), or because it is a `pass` and an older check "
            "failed. More verdicts may be added."
        ),
    ]
    status: str | None
    """Dots' status of the check. Null if Dots gives none."""
    has_criminal_activity: bool | None
    """Dots' finding. Null if Dots gives none."""
    older_check_failed: Annotated[
        bool | None,
        Field(description="Whether the other part of a two-part check failed, as users before 2026 had. Else null."),
    ]


class UserResponse(BaseModel):
    """A user: what the gateway stores about them."""

    model_config = examples.shown(examples.USER)

    id: str
    """Dots' id of the user."""
    app: str
    """The Dots app of the user."""
    status: str | None
    """Dots' status of the user. Null if not known."""
    id_verified: bool | None
    """Whether Dots has verified the user's identity. Null if not known."""
    background_check: BackgroundCheck | None
    """The state of the background check. Null for keys without `compliance:read`."""
    refreshed_at: datetime | None
    """When Dots last answered about the user (UTC). Null until then."""

    @classmethod
    def of(cls, user: UserRecord, *, with_check: bool) -> Self:
        """Build it from a stored user."""
        user_state = user.user_state
        check = BackgroundCheck(
            verdict=user_state.verdict.value,
            status=user_state.check_status,
            has_criminal_activity=user_state.has_criminal_activity,
            older_check_failed=user_state.older_check_failed,
        )
        return cls(
            id=user.id,
            app=user.app,
            status=user_state.status,
            id_verified=user_state.id_verified,
            background_check=check if with_check else None,
            refreshed_at=user.refreshed_at,
        )
