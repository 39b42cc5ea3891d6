"""Ask Dots for the flow of an intent row, and make of the row what came of it."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from pydantic import TypeAdapter

from app.actions import apply_snapshot
from app.actions.tools import Tools
from app.dots import wire
from app.errors import (
    CreationOutcomeUnknownError,
    DatabaseUnavailableError,
    DotsCredentialsError,
    DotsError,
    DotsNotFoundError,
    DotsRefusedError,
    DotsThrottledError,
    DotsUnreachableError,
)
from app.flows.snapshots import FlowSnapshot
from app.flows.subjects import Subject
from app.storage import app_rows, creation_rows, database, flow_rows, hints, sync_rows
from app.storage.flow_rows import FlowRecord

log = structlog.get_logger()

# Dots made no flow, and would make none for the same request.
FINAL = (DotsRefusedError, DotsNotFoundError)
# Dots made no flow, but may when asked again.
_PASSING = (DotsUnreachableError, DotsThrottledError, DotsCredentialsError)
_THROTTLED_PAUSE = timedelta(seconds=5)

RECORD = TypeAdapter(FlowRecord)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One POST to be made: for which row, and what of. `is_repeat` when an earlier one got no answer."""

    ref: UUID
    app: str
    caller: str
    request: dict[str, Any]
    is_repeat: bool = False


async def attempt_creation(tools: Tools, attempt: Attempt) -> FlowRecord:
    """Create the flow at Dots and store it.

    Raises DotsRefusedError or DotsNotFoundError (the row has failed for good), another DotsError (it may be tried
    again at once), CreationOutcomeUnknownError (the row stays as it is, for `settle_creations`).
    """
    try:
        snapshot = await tools.client(attempt.app).create_flow(_body(attempt))
    except DotsError as error:
        await _note_failure(tools, attempt, error)
        if isinstance(error, FINAL + _PASSING):
            raise
        raise CreationOutcomeUnknownError from error
    try:
        return await _settle(tools, attempt, snapshot)
    except DatabaseUnavailableError as error:
        # Dots has made the flow: "try again" would make a second one for a caller without an Idempotency-Key.
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


async def _note_failure(tools: Tools, attempt: Attempt, error: DotsError) -> None:
    tools.telemetry.creations.labels(attempt.app, error.code).inc()
    log.warning("flow not created", app=attempt.app, caller=attempt.caller, error=error.code, status=error.status)
    async with database.transaction(tools.engine) as connection:
        if isinstance(error, FINAL):
            await creation_rows.fail(connection, attempt.ref, answer=_describe(error))
        elif isinstance(error, _PASSING) and not attempt.is_repeat:
            await creation_rows.fail(connection, attempt.ref, answer=None)
        if isinstance(error, DotsThrottledError):
            pause = error.retry_after or _THROTTLED_PAUSE
            await app_rows.hold_off(connection, attempt.app, until=tools.clock() + pause)


async def _settle(tools: Tools, attempt: Attempt, snapshot: FlowSnapshot) -> FlowRecord:
    """Make the intent row the flow Dots has made, with its first events and its first sweep."""
    # Whatever Dots echoes, it is this intent's flow: it came as the answer to our own request.
    ours = replace(snapshot, client_ref=str(attempt.ref))
    async with database.transaction(tools.engine) as connection:
        applied = await apply_snapshot.apply_flow(connection, tools, attempt.app, ours, discovered_by="create")
        subject = Subject(app=attempt.app, kind="flow", id=snapshot.id)
        await sync_rows.schedule(connection, subject, due_at=applied.next_look_at, due_by="sweep")
        if applied.also_due:
            await sync_rows.mark_due(connection, [applied.also_due], due_at=tools.clock(), due_by="create")
        flow = await flow_rows.lock(connection, attempt.app, snapshot.id)
        if flow is None:  # It was saved two statements ago.
            raise LookupError(snapshot.id)
        await creation_rows.remember_answer(connection, flow.ref, RECORD.dump_python(flow, mode="json"))
    tools.telemetry.creations.labels(attempt.app, "created").inc()
    log.info("flow created", app=attempt.app, flow_id=flow.id, caller=attempt.caller)
    tools.hints.give(hints.APPENDED)
    return flow


def _describe(error: DotsError) -> dict[str, Any]:
    """What a repeat needs to be told the same."""
    return {"error": error.code, "status": error.status, "error_code": error.error_code}
