"""Creates a flow at Dots, once for each Idempotency-Key. Writes an intent row before the call."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app import errors
from app.dots.gate import Gate, Permit
from app.errors import CreationRunningError, DotsError, IdempotencyKeyReusedError, InvalidFieldsError
from app.flows import answer_rows, attempt_creation, creation_rows, flow_rows
from app.flows.attempt_creation import Attempt, Describe
from app.flows.creation_rows import Creation, CreationError, Intent
from app.flows.inputs import FlowInputs
from app.flows.rules import flow_request, steps
from app.flows.rules.flow_request import FlowRequest
from app.storage import database


@dataclass(frozen=True, kw_only=True)
class Created:
    """The answer about a flow, built by `describe`. `is_replay`: an earlier equal request created the flow."""

    answer: dict[str, Any]
    is_replay: bool


async def create_flow(
    inputs: FlowInputs,
    request: FlowRequest,
    *,
    caller: str,
    idempotency_key: str | None,
    describe: Describe,
    user_ip: str | None = None,
) -> Created:
    """Create the flow, or repeat the earlier answer for the same key.

    `user_ip`, the payee's address, goes to Dots with this call and is not stored.

    Raises InvalidFieldsError, UnknownAppError, IdempotencyKeyReusedError (a repeat does not help);
    CreationRunningError, CreationOutcomeUnknownError, DatabaseUnavailableError (repeat later with the same key);
    a DotsError (repeat with the same key, unless it is final).
    """
    client = inputs.clients.of(request.app)
    gate = client.gate
    if problems := flow_request.check(request, allows_localhost=client.is_on_loopback):
        raise InvalidFieldsError(problems)
    intent = _intent(inputs, request, caller, idempotency_key)
    # Before any row is locked: another process may hold one of our rows and wait for the app's row.
    permits = await gate.take()
    try:
        async with database.transaction(inputs.engine) as connection:
            is_first = await creation_rows.begin(connection, intent)
            if is_first:
                _require(gate, permits)
        if not is_first:
            earlier = await _take_up(inputs, intent, gate, permits, describe)
            if isinstance(earlier, Created):
                return earlier
            intent = earlier
        kept = describe if idempotency_key is not None else None
        attempt = Attempt(ref=intent.ref, app=intent.app, caller=caller, request=intent.request, describe=kept)
        flow = await attempt_creation.attempt_creation(inputs, attempt, permits[0], user_ip=user_ip)
    finally:
        gate.give_back(permits)
    return Created(answer=describe(flow), is_replay=False)


def _require(gate: Gate, permits: list[Permit]) -> None:
    """Raise a DotsError, which undoes the intent, if there is no permit."""
    if not permits:
        raise gate.refusal()


def _intent(inputs: FlowInputs, request: FlowRequest, caller: str, idempotency_key: str | None) -> Intent:
    return Intent(
        ref=inputs.new_uuid(),
        app=request.app,
        caller=caller,
        reference=request.reference,
        user_id=request.user_id,
        metadata=request.metadata,
        step_names=tuple(steps.name_of(step) for step in request.steps),
        idempotency_key=idempotency_key,
        fingerprint=flow_request.fingerprint(request),
        request=flow_request.as_json(request),
        created_at=inputs.clock(),
    )


async def _take_up(
    inputs: FlowInputs, intent: Intent, gate: Gate, permits: list[Permit], describe: Describe
) -> Created | Intent:
    """Handle a key that was used before: return its answer, raise its error, or return the intent to try again."""
    async with database.transaction(inputs.engine) as connection:
        earlier = await creation_rows.find(
            connection, caller=intent.caller, idempotency_key=intent.idempotency_key or ""
        )
        if earlier.fingerprint != intent.fingerprint:
            raise IdempotencyKeyReusedError
        if earlier.status == "creating":
            raise CreationRunningError
        if earlier.error is not None and earlier.error.is_final:
            raise _again(earlier.error)
        if earlier.status == "failed":
            if not await creation_rows.begin_again(connection, earlier.ref, intent.request, now=inputs.clock()):
                raise CreationRunningError
            _require(gate, permits)
            return replace(intent, ref=earlier.ref)
        return Created(answer=await _repeat(connection, inputs, intent, earlier, describe), is_replay=True)


async def _repeat(
    connection: AsyncConnection, inputs: FlowInputs, intent: Intent, earlier: Creation, describe: Describe
) -> dict[str, Any]:
    """Return the earlier answer while it is stored. Otherwise return the flow as it is now."""
    answer = await answer_rows.find(connection, earlier.ref, since=inputs.clock() - inputs.answers_kept)
    if answer is not None:
        return answer
    flow = await flow_rows.lock_ref(connection, intent.app, earlier.ref)
    if flow is None:
        raise CreationRunningError
    return describe(flow)


def _again(error: CreationError) -> DotsError:
    """Return the error that the first caller got."""
    return errors.DotsRefusedError(status=error.dots_status, error_code=error.dots_error_code)
