"""Flows and users over HTTP."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse

from app import cursors
from app.access import audit_reads
from app.access.key_rows import KeyRecord
from app.access.scopes import COMPLIANCE, SUBSCRIPTIONS_ADMIN, RequiredScope
from app.dots import fields
from app.errors import FlowNotFoundError, UserNotFoundError
from app.feed.events import COMPLIANCE_TYPES
from app.flows import read_flows, read_timeline, refresh_due
from app.flows.create_flow import create_flow
from app.flows.flow_rows import FlowRecord
from app.flows.flow_search import FlowFilter
from app.flows.inputs import FlowInputs
from app.flows.read_timeline import Neighbours
from app.flows.rules import steps
from app.flows.schemas import (
    CreatedFlow,
    FlowPage,
    FlowResponse,
    NewFlow,
    Text,
    UserResponse,
)
from app.flows.timeline_schemas import Timeline
from app.storage.inputs import StorageInputs
from app.storage.subjects import Subject
from app.web import given
from app.web.lists import After
from app.web.moments import Moment

router = APIRouter(prefix="/v1", tags=["flows"])
users_router = APIRouter(prefix="/v1", tags=["users"])

WRITE = "flows:write"
Reader = Annotated[KeyRecord, Depends(RequiredScope("flows:read"))]
Writer = Annotated[KeyRecord, Depends(RequiredScope(WRITE))]

_CURSOR = cursors.by_time("flows")

_REFRESH_RUNNING: dict[str, Any] = {
    "model": FlowResponse,
    "description": "Another process is asking Dots. This is the flow as last known.",
}

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="A text of your choice. A repeat with the same key gets the same answer, not a second flow.",
    ),
]


@router.post("/flows", status_code=201, response_model=CreatedFlow, operation_id="createFlow", summary="Create a flow")
async def create(request: Request, body: NewFlow, key: Writer, idempotency_key: IdempotencyKey = None) -> JSONResponse:
    """Create a flow and get its link. Without an `Idempotency-Key`, a repeat creates a second flow."""
    inputs, wanted = given.of(request, FlowInputs), body.as_request()

    def describe(flow: FlowRecord) -> dict[str, Any]:
        allows_localhost = inputs.clients.of(wanted.app).is_on_loopback
        warnings = steps.warnings(wanted.steps, allows_localhost=allows_localhost)
        return CreatedFlow.answer(flow, warnings)

    created = await create_flow(
        inputs,
        wanted,
        caller=key.name,
        idempotency_key=idempotency_key,
        describe=describe,
        user_ip=body.user_ip,
    )
    # Not validated again: a repeat gets the stored answer, even one with fields of another version.
    headers = {"Idempotent-Replayed": "true"} if created.is_replay else None
    return JSONResponse(created.answer, 201, headers)


@router.get("/flows", operation_id="findFlows", summary="Find flows")
async def list_all(
    request: Request,
    key: Reader,
    *,
    reference: Annotated[Text | None, Query(description="Only flows with this reference.")] = None,
    user_id: Annotated[Text | None, Query(description="Only flows of this user, by Dots' id.")] = None,
    status: Annotated[
        Literal["creating", "open", "completed", "failed"] | None, Query(description="Only flows with this status.")
    ] = None,
    step: Annotated[Text | None, Query(description="Only open flows in which this step is pending.")] = None,
    app: Annotated[Text | None, Query(description="Only flows of this Dots app.")] = None,
    created_from: Annotated[Moment | None, Query(description="Only flows created at this time or later.")] = None,
    created_before: Annotated[Moment | None, Query(description="Only flows created before this time.")] = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100, description="The most flows on a page.")] = 50,
) -> FlowPage:
    """Find flows, newest first."""
    wanted = FlowFilter(
        app=app,
        reference=reference,
        user_id=user_id,
        status=status,
        step=step,
        created_from=created_from,
        created_before=created_before,
    )
    before = None if after is None else _CURSOR.read(after)
    found = await read_flows.list_flows(given.of(request, StorageInputs).engine, wanted, before=before, limit=limit + 1)
    shown, has_more = found[:limit], len(found) > limit
    return FlowPage(
        flows=[FlowResponse.of(flow, with_link=WRITE in key.scopes) for flow in shown],
        next_cursor=_CURSOR.write((shown[-1].created_at, shown[-1].ref)) if has_more else None,
        has_more=has_more,
    )


@router.get("/flows/{flow_id}", operation_id="getFlow", summary="Get a flow")
async def get(request: Request, flow_id: str, key: Reader) -> FlowResponse:
    """Get a flow as the gateway knows it, without asking Dots."""
    flow = await read_flows.read_flow(given.of(request, StorageInputs).engine, _flow_id(flow_id))
    return FlowResponse.of(flow, with_link=WRITE in key.scopes)


@router.get("/flows/{flow_id}/timeline", operation_id="getFlowTimeline", summary="Get the timeline of a flow")
async def timeline(request: Request, flow_id: str, key: Reader) -> Timeline:
    """Get what happened to a flow: webhooks, refreshes, steps and events. Deliveries need `subscriptions:admin`."""
    storage = given.of(request, StorageInputs)
    with_deliveries = SUBSCRIPTIONS_ADMIN in key.scopes
    found = await read_timeline.read_timeline(
        storage.engine, given.of(request, Neighbours), _flow_id(flow_id), with_deliveries=with_deliveries
    )
    checks = [event for event in found.events if event.type in COMPLIANCE_TYPES]
    if COMPLIANCE not in key.scopes:
        found = found.without(COMPLIANCE_TYPES)
    elif checks:
        await audit_reads.audit_read(storage, key, " ".join(str(event.id) for event in checks))
    return Timeline.of(found)


@router.post(
    "/flows/{flow_id}/refresh",
    operation_id="refreshFlow",
    summary="Refresh a flow",
    responses={202: _REFRESH_RUNNING},
)
async def refresh(request: Request, response: Response, flow_id: str, key: Writer) -> FlowResponse:
    """Ask Dots now. Answers 200 with the new state, or 202 with the last known state if another process is asking."""
    del key
    inputs = given.of(request, FlowInputs)
    flow = await read_flows.read_flow(inputs.engine, _flow_id(flow_id))
    if not await refresh_due.refresh_now(inputs, Subject(app=flow.app, kind="flow", id=flow.id or flow_id)):
        response.status_code = 202
    return FlowResponse.of(await read_flows.read_flow(inputs.engine, flow.id or flow_id), with_link=True)


@users_router.get("/users/{user_id}", operation_id="getUser", summary="Get a user")
async def get_user(request: Request, user_id: str, key: Reader) -> UserResponse:
    """Get a user. The background check needs `compliance:read`."""
    storage = given.of(request, StorageInputs)
    known_id = fields.read_id(user_id)
    if known_id is None:
        raise UserNotFoundError
    user = await read_flows.read_user(storage.engine, known_id)
    with_check = COMPLIANCE in key.scopes
    if with_check:
        await audit_reads.audit_read(storage, key, f"user/{user.id}")
    return UserResponse.of(user, with_check=with_check)


def _flow_id(text: str) -> str:
    flow_id = fields.read_id(text)
    if flow_id is None:
        raise FlowNotFoundError
    return flow_id
