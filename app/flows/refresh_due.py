"""Ask Dots about what is due, merge the answer, and set the next due time: the only way state changes."""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app.dots.gate import Permit
from app.dots.snapshots import FlowSnapshot, UserSnapshot
from app.errors import (
    DatabaseUnavailableError,
    DotsCredentialsError,
    DotsError,
    DotsForbiddenError,
    DotsInvalidResponseError,
    DotsMisroutedError,
    DotsNotFoundError,
    DotsRefusedError,
    DotsThrottledError,
    GatewayError,
)
from app.flows import apply_snapshot, claim_due, merge_rows, refresh_rows, sync_rows
from app.flows.apply_snapshot import Applied
from app.flows.due_scan_floor import DueScanFloor
from app.flows.inputs import FlowInputs
from app.flows.refresh_rows import RefreshRecord
from app.flows.rules import schedule
from app.flows.sync_rows import Claim
from app.storage import background, database, notifications
from app.storage.subjects import Subject

log = structlog.get_logger()

# How long a caller who waits for a refresh is kept waiting for the database.
_CALLERS_PATIENCE = timedelta(seconds=5)
# Puts a row behind all that are due now. The pause itself is the app's, not the row's.
_BEHIND_THE_OTHERS = timedelta(seconds=1)

# Errors not worth retrying after `dead_after`.
_HOPELESS = (DotsNotFoundError, DotsRefusedError, DotsForbiddenError, DotsMisroutedError, DotsInvalidResponseError)
# Errors about the whole app. They do not count as failures of the flow or user.
_PAUSES = (DotsCredentialsError, DotsThrottledError)


class FencedError(Exception):
    """The lease had gone to somebody else by the time Dots had answered."""


@dataclass(frozen=True, kw_only=True)
class PassResult:
    """What one pass did."""

    claimed: int
    failed: int


async def refresh_due(inputs: FlowInputs, *, limit: int, scan_floor: DueScanFloor | None = None) -> PassResult:
    """One pass: claim up to `limit`, ask Dots about all of them at once, apply each by itself.

    With the `scan_floor` of earlier passes it looks only at what has become due since; without, at everything.
    """
    claims = await claim_due.claim_due(inputs, limit=limit, scan_floor=scan_floor or DueScanFloor())
    results = await asyncio.gather(*(_refresh_quietly(inputs, each.claim, each.permit) for each in claims))
    return PassResult(claimed=len(claims), failed=results.count(False))


async def refresh_now(inputs: FlowInputs, subject: Subject) -> bool:
    """Ask Dots about one subject at once; False when somebody else is already asking, who will see what we would.

    Raises DotsError after having noted when to try again, and DatabaseUnavailableError after having tried to store
    the answer for a few seconds. When Dots may not be called now, a worker asks as soon as it may.
    """
    now = inputs.clock()
    async with database.transaction(inputs.engine) as connection:
        await sync_rows.mark_due(connection, [subject], due_at=now, due_by="refresh")
    gate = inputs.clients.of(subject.app).gate
    permit = await gate.take_one()
    try:
        return await _refresh_permitted(inputs, subject, permit)
    finally:
        gate.give_back([permit])


async def _refresh_permitted(inputs: FlowInputs, subject: Subject, permit: Permit) -> bool:
    now = inputs.clock()
    async with database.transaction(inputs.engine) as connection:
        claim = await sync_rows.claim_one(
            connection, subject, now=now, lease_until=now + inputs.lease, token=inputs.new_uuid()
        )
    if claim is None:
        inputs.notifications.send(notifications.DUE)
        return False
    try:
        await _refresh(inputs, claim, permit, until=min(claim.lease_until, inputs.clock() + _CALLERS_PATIENCE))
    except FencedError:
        return False
    return True


async def _refresh_quietly(inputs: FlowInputs, claim: Claim, permit: Permit) -> bool:
    """Refresh, and let no failure of one claim touch the others; what failed stays due."""
    try:
        await _refresh(inputs, claim, permit, until=claim.lease_until)
    except (DotsError, FencedError, DatabaseUnavailableError):
        return False
    except Exception:  # One claim's bug must not stop the loop for the others.
        log.exception("refresh failed unexpectedly", app=claim.subject.app, subject=str(claim.subject))
        await _put_off(inputs, claim)
        return False
    return True


async def _put_off(inputs: FlowInputs, claim: Claim) -> None:
    """Try later what broke for a reason we do not know, and ever more seldom; it counts as failing."""
    now = inputs.clock()
    wait = schedule.RETRIES.wait(claim.attempts + 1, jitter=inputs.jitter())

    async def postpone() -> None:
        async with background.transaction(inputs) as connection:
            await sync_rows.postpone(connection, claim, due_at=now + wait, now=now, error=GatewayError.code)

    with contextlib.suppress(DatabaseUnavailableError):  # Then the lease has ended, and it is due again.
        await background.persist(
            inputs, postpone, until=claim.lease_until, what=f"{GatewayError.code} of {claim.subject}"
        )


async def _refresh(inputs: FlowInputs, claim: Claim, permit: Permit, *, until: datetime) -> None:
    """Ask Dots once, and store what it said: for as long as it takes, up to `until`."""
    try:
        snapshot = await _fetch(inputs, claim.subject, permit)
    except DotsError as error:
        failure = error
        what = f"{error.code} of {claim.subject}"
        await background.persist(inputs, lambda: _note_failure(inputs, claim, failure), until=until, what=what)
        raise
    await background.persist(inputs, lambda: _apply(inputs, claim, snapshot), until=until, what=str(claim.subject))


async def _fetch(inputs: FlowInputs, subject: Subject, permit: Permit) -> FlowSnapshot | UserSnapshot:
    client = inputs.clients.of(subject.app)
    if subject.kind == "user":
        return await client.get_user(permit, subject.id)
    snapshot = await client.get_flow(permit, subject.id)
    if snapshot.id != subject.id:
        raise DotsInvalidResponseError("Dots answered with another flow than the one asked for.")
    return snapshot


async def _apply(inputs: FlowInputs, claim: Claim, snapshot: FlowSnapshot | UserSnapshot) -> None:
    """Merge, append events and settle the claim in one transaction, which a lost lease undoes whole."""
    async with background.transaction(inputs) as connection:
        if isinstance(snapshot, FlowSnapshot):
            applied = await apply_snapshot.apply_flow(
                connection, inputs, claim.subject.app, snapshot, discovered_by=claim.due_by
            )
        else:
            applied = await apply_snapshot.apply_user(connection, inputs, claim.subject, snapshot)
        outcome = "changed" if applied.events_added else "unchanged"
        await _note(connection, inputs, claim, outcome)
        if not await sync_rows.settle(connection, claim, next_due_at=applied.next_refresh_at):
            _count(inputs, claim, "fenced")
            raise FencedError
        if applied.also_due:
            await sync_rows.mark_due(connection, [applied.also_due], due_at=inputs.clock(), due_by=claim.due_by)
        if applied.left_behind:
            await sync_rows.rest(connection, applied.left_behind)
    _tell(inputs, claim, applied, outcome)


def _tell(inputs: FlowInputs, claim: Claim, applied: Applied, outcome: str) -> None:
    _count(inputs, claim, outcome)
    if applied.events_added:
        inputs.notifications.send(notifications.APPENDED)
    if applied.also_due:
        inputs.notifications.send(notifications.DUE)
    log.info(
        "refreshed",
        app=claim.subject.app,
        subject=str(claim.subject),
        due_by=claim.due_by,
        outcome=outcome,
        events=applied.events_added,
    )


async def _note_failure(inputs: FlowInputs, claim: Claim, error: DotsError) -> None:
    """Record the failure and when to try again, and give the claim back.

    Every failure moves the row's due time, so that a failing row never blocks the rows behind it.
    """
    now = inputs.clock()
    subject = claim.subject
    code = error.code
    is_hopeless = isinstance(error, _HOPELESS)
    is_beyond_hope = is_hopeless and now - (claim.failing_since or now) >= inputs.dead_after
    async with background.transaction(inputs) as connection:
        if is_hopeless and await merge_rows.is_gone(connection, subject):
            # The user was merged into another one, which has a sync row of its own.
            is_beyond_hope = False
            await sync_rows.settle(connection, claim, next_due_at=None)
        elif is_beyond_hope:
            await sync_rows.dead_letter(connection, claim, now=now, error=code)
        elif isinstance(error, _PAUSES):
            await sync_rows.defer(connection, claim, due_at=now + _BEHIND_THE_OTHERS)
        else:
            wait = schedule.RETRIES.wait(claim.attempts + 1, jitter=inputs.jitter(), at_least=error.retry_after)
            await sync_rows.postpone(connection, claim, due_at=now + wait, now=now, error=code)
        await _note(connection, inputs, claim, code)
    # After the commit, because an attempt that Postgres did not take is made again.
    if is_beyond_hope:
        log.error("became a dead letter", app=subject.app, subject=str(subject), error=code)
    _count(inputs, claim, code)
    log.warning("refresh failed", app=subject.app, subject=str(subject), attempts=claim.attempts + 1, error=code)


async def _note(connection: AsyncConnection, inputs: FlowInputs, claim: Claim, outcome: str) -> None:
    record = RefreshRecord(ended_at=inputs.clock(), due_by=claim.due_by, outcome=outcome)
    await refresh_rows.add(connection, claim.subject, record)


def _count(inputs: FlowInputs, claim: Claim, outcome: str) -> None:
    inputs.telemetry.refreshes.labels(claim.subject.app, claim.subject.kind, outcome).inc()
