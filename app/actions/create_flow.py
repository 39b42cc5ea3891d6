"""Create a flow at Dots, once for each Idempotency-Key, with a row of ours there before Dots is asked."""

from dataclasses import dataclass, replace
from typing import Any

import structlog
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection

from app.actions import apply_snapshot
from app.actions.tools import Tools
from app.dots import wire
from app.errors import (
    CreationOutcomeUnknownError,
    CreationRunningError,
    DatabaseUnavailableError,
    DotsCredentialsError,
    DotsError,
    DotsNotFoundError,
    DotsRefusedError,
    DotsThrottledError,
    DotsUnreachableError,
    IdempotencyKeyReusedError,
    InvalidFieldsError,
)
from app.flows import flow_request, schedule, steps
from app.flows.flow_request import FlowRequest
from app.flows.snapshots import FlowSnapshot
from app.flows.subjects import Subject
from app.storage import creation_rows, database, flow_rows, hints, sync_rows
from app.storage.creation_rows import Creation, Intent
from app.storage.flow_rows import FlowRecord

log = structlog.get_logger()

# Dots made no flow, and would make none for the same request.
_FINAL = (DotsRefusedError, DotsNotFoundError)
# Dots made no flow, but may when asked again.
_PASSING = (DotsUnreachableError, DotsThrottledError, DotsCredentialsError)

_ERRORS_BY_CODE = {error.code: error for error in _FINAL}
_RECORD = TypeAdapter(FlowRecord)


@dataclass(frozen=True, kw_only=True)
class Created:
    """A flow as its caller is told of it; `is_replay` when the answer is that of an earlier, equal request."""

    flow: FlowRecord
    is_replay: bool


async def create_flow(tools: Tools, request: FlowRequest, *, caller: str, idempotency_key: str | None) -> Created:
    """Create the flow, or repeat the answer that was given for the same key before.

    Raises InvalidFieldsError, UnknownAppError, IdempotencyKeyReusedError (never helps to repeat);
    CreationRunningError, CreationOutcomeUnknownError, DatabaseUnavailableError (repeat later with the same key);
    DotsRefusedError (final for the key), and other DotsErrors (the same key may try again).
    """
    tools.client(request.app)
    if problems := flow_request.check(request):
        raise InvalidFieldsError(problems)
    intent = _intent(tools, request, caller, idempotency_key)
    async with database.transaction(tools.engine) as connection:
        is_first = await creation_rows.begin(connection, intent)
    if not is_first:
        earlier = await _take_up(tools, intent)
        if isinstance(earlier, Created):
            return earlier
        intent = earlier
    flow = await _create_at_dots(tools, intent)
    log.info("flow created", app=intent.app, flow_id=flow.id, caller=caller)
    return Created(flow=flow, is_replay=False)


def _intent(tools: Tools, request: FlowRequest, caller: str, idempotency_key: str | None) -> Intent:
    return Intent(
        ref=tools.new_uuid(),
        app=request.app,
        caller=caller,
        reference=request.reference,
        user_id=request.user_id,
        metadata=request.metadata,
        step_names=tuple(steps.name_of(step) for step in request.steps),
        idempotency_key=idempotency_key,
        fingerprint=flow_request.fingerprint(request),
        request=flow_request.as_json(request),
        created_at=tools.clock(),
    )


async def _take_up(tools: Tools, intent: Intent) -> Created | Intent:
    """What to make of a key that was used before: its answer, its error, or another try."""
    async with database.transaction(tools.engine) as connection:
        earlier = await creation_rows.find(
            connection, caller=intent.caller, idempotency_key=intent.idempotency_key or ""
        )
        if earlier.fingerprint != intent.fingerprint:
            raise IdempotencyKeyReusedError
        if earlier.status == "failed" and earlier.answer is None:
            if not await creation_rows.begin_again(connection, earlier.ref, intent.request, now=tools.clock()):
                raise CreationRunningError
            return replace(intent, ref=earlier.ref)
        if earlier.status == "creating":
            raise CreationRunningError
        return await _repeat(connection, intent, earlier)


async def _repeat(connection: AsyncConnection, intent: Intent, earlier: Creation) -> Created:
    """The answer of before. A flow whose first caller got no answer is described as it is now."""
    answer = earlier.answer
    if answer is not None and "error" in answer:
        raise _ERRORS_BY_CODE[answer["error"]](status=answer["status"], error_code=answer["error_code"])
    if answer is not None:
        return Created(flow=_RECORD.validate_python(answer), is_replay=True)
    flow = await flow_rows.lock_ref(connection, intent.app, earlier.ref)
    if flow is None:
        raise CreationRunningError
    return Created(flow=flow, is_replay=True)


async def _create_at_dots(tools: Tools, intent: Intent) -> FlowRecord:
    try:
        snapshot = await tools.client(intent.app).create_flow(_body(intent))
    except DotsError as error:
        tools.telemetry.creations.labels(intent.app, error.code).inc()
        log.warning("flow not created", app=intent.app, caller=intent.caller, error=error.code, status=error.status)
        if isinstance(error, _FINAL):
            await _fail(tools, intent, answer=_describe(error))
            raise
        if isinstance(error, _PASSING):
            await _fail(tools, intent, answer=None)
            raise
        raise CreationOutcomeUnknownError from error
    try:
        return await _settle(tools, intent, snapshot)
    except DatabaseUnavailableError as error:
        # Dots has made the flow: "try again" would make a second one for a caller without an Idempotency-Key.
        raise CreationOutcomeUnknownError from error


def _body(intent: Intent) -> dict[str, Any]:
    request = intent.request
    return wire.write_flow(
        steps=request["steps"],
        user_id=request["user_id"],
        require_auth=request["require_auth"],
        hide_go_to_dashboard_on_complete=request["hide_go_to_dashboard_on_complete"],
        metadata=request["metadata"],
        client_ref=str(intent.ref),
    )


async def _settle(tools: Tools, intent: Intent, snapshot: FlowSnapshot) -> FlowRecord:
    """Make the intent row the flow Dots has made, with its first events and its first sweep."""
    # Whatever Dots echoes, it is this intent's flow: it came as the answer to our own request.
    ours = replace(snapshot, client_ref=str(intent.ref))
    async with database.transaction(tools.engine) as connection:
        applied = await apply_snapshot.apply_flow(connection, tools, intent.app, ours, discovered_by="create")
        subject = Subject(app=intent.app, kind="flow", id=snapshot.id)
        since = applied.waiting_since
        due_at = since and schedule.next_look(tools.sweeps, since=since, now=tools.clock())
        await sync_rows.schedule(connection, subject, due_at=due_at, due_by="sweep")
        if applied.also_due:
            await sync_rows.mark_due(connection, [applied.also_due], due_at=tools.clock(), due_by="create")
        flow = await flow_rows.lock(connection, intent.app, snapshot.id)
        if flow is None:  # It was saved two statements ago.
            raise LookupError(snapshot.id)
        await creation_rows.remember_answer(connection, flow.ref, _RECORD.dump_python(flow, mode="json"))
    tools.telemetry.creations.labels(intent.app, "created").inc()
    tools.hints.give(hints.APPENDED)
    return flow


async def _fail(tools: Tools, intent: Intent, *, answer: dict[str, Any] | None) -> None:
    async with database.transaction(tools.engine) as connection:
        await creation_rows.fail(connection, intent.ref, answer=answer)


def _describe(error: DotsError) -> dict[str, Any]:
    """What a repeat needs to be told the same."""
    return {"error": error.code, "status": error.status, "error_code": error.error_code}
