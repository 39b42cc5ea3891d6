"""Create a flow at Dots, once for each Idempotency-Key, with a row of ours there before Dots is asked."""

from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from app.actions import attempt_creation, call_budget
from app.actions.attempt_creation import Attempt
from app.actions.tools import Tools
from app.errors import (
    CreationRunningError,
    DotsThrottledError,
    IdempotencyKeyReusedError,
    InvalidFieldsError,
)
from app.flows import flow_request, steps
from app.flows.flow_request import FlowRequest
from app.storage import app_rows, creation_rows, database, flow_rows
from app.storage.creation_rows import Creation, Intent
from app.storage.flow_rows import FlowRecord

_ERRORS_BY_CODE = {error.code: error for error in attempt_creation.FINAL}


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
    # Before any row is locked: another process may be waiting for the app's row with a row of ours locked.
    may_call = await call_budget.may_call(tools, request.app, reserve=0)
    is_called = False
    try:
        async with database.transaction(tools.engine) as connection:
            is_first = await creation_rows.begin(connection, intent)
            if is_first:
                await _require_call(connection, tools, request.app, may_call=may_call)
        if not is_first:
            earlier = await _take_up(tools, intent, may_call=may_call)
            if isinstance(earlier, Created):
                return earlier
            intent = earlier
        is_called = True
    finally:
        if may_call and not is_called:
            call_budget.give_back(tools, request.app, 1, reserve=0)
    attempt = Attempt(ref=intent.ref, app=intent.app, caller=caller, request=intent.request)
    return Created(flow=await attempt_creation.attempt_creation(tools, attempt), is_replay=False)


async def _require_call(connection: AsyncConnection, tools: Tools, app: str, *, may_call: bool) -> None:
    """Raises DotsThrottledError, which undoes the intent, while Dots wants no calls or none is left in the budget."""
    now = tools.clock()
    held_until = await app_rows.held_until(connection, app, now)
    if held_until is not None:
        raise DotsThrottledError(retry_after=held_until - now)
    if not may_call:
        raise DotsThrottledError(retry_after=timedelta(seconds=1))


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


async def _take_up(tools: Tools, intent: Intent, *, may_call: bool) -> Created | Intent:
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
            await _require_call(connection, tools, intent.app, may_call=may_call)
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
        return Created(flow=attempt_creation.RECORD.validate_python(answer), is_replay=True)
    flow = await flow_rows.lock_ref(connection, intent.app, earlier.ref)
    if flow is None:
        raise CreationRunningError
    return Created(flow=flow, is_replay=True)
