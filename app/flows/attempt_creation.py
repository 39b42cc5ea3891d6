"""Sends the POST for an intent row to Dots, and records the outcome on the row."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import structlog

from app.dots import wire
from app.dots.gate import Permit
from app.dots.snapshots import FlowSnapshot
from app.errors import (
    CreationOutcomeUnknownError,
    DatabaseUnavailableError,
    DotsBusyError,
    DotsCredentialsError,
    DotsError,
    DotsThrottledError,
    DotsUnreachableError,
)
from app.flows import (
    answer_rows,
    apply_snapshot,
    creation_rows,
    flow_rows,
    sync_rows,
)
from app.flows.creation_rows import CreationError
from app.flows.flow_rows import FlowRecord
from app.flows.inputs import FlowInputs
from app.storage import database
from app.storage.subjects import Subject

log = structlog.get_logger()

# After one of these, the worker tries a repeated creation again. After any other error the row has failed.
_TEMPORARY = (DotsUnreachableError, DotsBusyError, DotsThrottledError, DotsCredentialsError)

Describe = Callable[[FlowRecord], dict[str, Any]]
"""Builds the JSON answer to the caller from a flow."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A POST to send, and its intent row. `is_repeat`: an earlier POST for the row got no answer.

    `describe` builds the answer to store for a repeat with the same key. None: store none.
    """

    ref: UUID
    app: str
    caller: str
    request: dict[str, Any]
    is_repeat: bool = False
    describe: Describe | None = None


async def attempt_creation(
    inputs: FlowInputs, attempt: Attempt, permit: Permit, *, user_ip: str | None = None
) -> FlowRecord:
    """Create the flow at Dots and store it.

    Raises a DotsError if Dots has created no flow. The row has then failed, permanently if the error is final. Raises
    CreationOutcomeUnknownError if Dots may have created one, also if the database fails afterwards. The row then waits
    for `settle_creations`. An error that says "try again" would lead a caller without a key to a second flow.
    """
    try:
        snapshot = await inputs.clients.of(attempt.app).create_flow(permit, _body(attempt), user_ip=user_ip)
    except DotsError as error:
        await _note_failure(inputs, attempt, error)
        if error.may_have_acted:
            raise CreationOutcomeUnknownError from error
        raise
    try:
        return await _settle(inputs, attempt, snapshot)
    except DatabaseUnavailableError as error:
        raise CreationOutcomeUnknownError from error
    except Exception as error:  # The flow exists at Dots, even after a bug of ours.
        log.exception("flow created and not stored", app=attempt.app, caller=attempt.caller)
        raise CreationOutcomeUnknownError from error


def _body(attempt: Attempt) -> dict[str, Any]:
    request = attempt.request
    return wire.write_flow(
        steps=request["steps"],
        user_id=request["user_id"],
        require_auth=request["require_auth"],
        hide_go_to_dashboard_on_complete=request["hide_go_to_dashboard_on_complete"],
        metadata=request["metadata"],
        client_ref=str(attempt.ref),
    )


async def _note_failure(inputs: FlowInputs, attempt: Attempt, error: DotsError) -> None:
    """Record why there is no flow. If the database fails, the row is settled later like an unknown outcome."""
    inputs.telemetry.creations.labels(attempt.app, error.code).inc()
    log.warning("flow not created", app=attempt.app, caller=attempt.caller, error=error.code, status=error.status)
    if error.may_have_acted or (attempt.is_repeat and isinstance(error, _TEMPORARY)):
        return
    reason = CreationError(
        code=error.code, dots_status=error.status, dots_error_code=error.error_code, is_final=error.is_final
    )
    try:
        async with database.transaction(inputs.engine) as connection:
            await creation_rows.fail(connection, attempt.ref, reason)
    except DatabaseUnavailableError:
        log.warning("failure of a creation not stored", app=attempt.app, caller=attempt.caller, error=error.code)


async def _settle(inputs: FlowInputs, attempt: Attempt, snapshot: FlowSnapshot) -> FlowRecord:
    """Turn the intent row into Dots' flow, with its first events and its first sweep."""
    # The flow is this intent's whatever reference Dots echoes, because it is the answer to our own request.
    ours = replace(snapshot, client_ref=str(attempt.ref))
    async with database.transaction(inputs.engine) as connection:
        applied = await apply_snapshot.apply_flow(connection, inputs, attempt.app, ours, discovered_by="create")
        subject = Subject(app=attempt.app, kind="flow", id=snapshot.id)
        await sync_rows.schedule(connection, subject, due_at=applied.next_refresh_at, due_by="sweep")
        if applied.also_due:
            await sync_rows.mark_due(connection, [applied.also_due], due_at=inputs.clock(), due_by="create")
        flow = await flow_rows.lock(connection, attempt.app, snapshot.id)
        if flow is None:  # Cannot happen: it was saved above.
            raise LookupError(snapshot.id)
        if attempt.describe is not None:
            await answer_rows.add(connection, flow.ref, attempt.describe(flow), now=inputs.clock())
    apply_snapshot.report(inputs, subject, applied, discovered_by="create")
    inputs.telemetry.creations.labels(attempt.app, "created").inc()
    log.info("flow created", app=attempt.app, flow_id=flow.id, caller=attempt.caller)
    return flow
