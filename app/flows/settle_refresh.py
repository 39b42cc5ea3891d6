"""Stores the result of a refresh, a snapshot or a failure, and settles the claim in the same transaction."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

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
from app.flows import (
    apply_snapshot,
    flow_rows,
    merge_rows,
    refresh_rows,
    sync_rows,
)
from app.flows.apply_snapshot import Applied, SeenFlow
from app.flows.inputs import FlowInputs
from app.flows.refresh_rows import RefreshRecord
from app.flows.rules import schedule
from app.flows.sync_rows import Claim
from app.storage import background, notifications

log = structlog.get_logger()

# Moves a row behind all that are due now. The pause itself belongs to the app.
_BEHIND_DUE_ROWS = timedelta(seconds=1)

# Errors not worth retrying after `dead_after`.
_NOT_WORTH_RETRYING = (
    DotsNotFoundError,
    DotsRefusedError,
    DotsForbiddenError,
    DotsMisroutedError,
    DotsInvalidResponseError,
)
# Errors about the whole app. They do not count as failures of the flow or user.
_PAUSES = (DotsCredentialsError, DotsThrottledError)


class FencedError(Exception):
    """Another worker got the lease before Dots answered."""


@dataclass(frozen=True, kw_only=True)
class FetchedFlow:
    """A claimed flow and Dots' answer about it."""

    claim: Claim
    snapshot: FlowSnapshot


async def store_together(inputs: FlowInputs, fetched: Sequence[FetchedFlow]) -> list[bool]:
    """Store answers about flows in one transaction. Returns False for each that needs a transaction of its own.

    Those are flows that are unknown or locked by another transaction. After an error it is all of them, because one bad
    answer must not prevent the others from being stored.
    """
    try:
        async with background.transaction(inputs) as connection:
            stored = await _apply_together(connection, inputs, fetched)
    except Exception as error:  # noqa: BLE001  # Each is stored alone next, which shows the faulty one.
        log.warning("answers not stored together", count=len(fetched), error=type(error).__name__)
        return [False] * len(fetched)
    for claim, applied in stored:
        _report(inputs, claim, applied)
    done = {(claim.subject, claim.token) for claim, _ in stored}
    return [(each.claim.subject, each.claim.token) in done for each in fetched]


async def store(inputs: FlowInputs, claim: Claim, snapshot: FlowSnapshot | UserSnapshot) -> None:
    """Store one answer in a transaction of its own. Raises FencedError and stores nothing if the lease was lost."""
    async with background.transaction(inputs) as connection:
        if isinstance(snapshot, FlowSnapshot):
            applied = await apply_snapshot.apply_flow(
                connection, inputs, claim.subject.app, snapshot, discovered_by=claim.due_by
            )
        else:
            applied = await apply_snapshot.apply_user(connection, inputs, claim.subject, snapshot)
        try:
            await _settle(connection, inputs, [(claim, applied)])
        except FencedError:
            _count(inputs, claim, "fenced")
            raise
    _report(inputs, claim, applied)


async def _apply_together(
    connection: AsyncConnection, inputs: FlowInputs, fetched: Sequence[FetchedFlow]
) -> list[tuple[Claim, Applied]]:
    """Lock, decide and save. Returns the claims of the flows that could be locked, with what was applied."""
    # A subject is here twice only if its first lease has ended. Settling shows which claim is valid.
    by_subject = {each.claim.subject: each for each in fetched}
    known = await flow_rows.lock_free(connection, by_subject)
    ours = [by_subject[subject] for subject in sorted(known)]
    if not ours:
        return []
    seen = [
        SeenFlow(known=known[each.claim.subject], snapshot=each.snapshot, discovered_by=each.claim.due_by)
        for each in ours
    ]
    applied = await apply_snapshot.apply_flows(connection, inputs, seen)
    stored = [(each.claim, one) for each, one in zip(ours, applied, strict=True)]
    await _settle(connection, inputs, stored)
    return stored


async def _settle(connection: AsyncConnection, inputs: FlowInputs, stored: Sequence[tuple[Claim, Applied]]) -> None:
    """Settle the claims and make their users due. Raises FencedError if any lease was lost."""
    also_due = [(applied.also_due, claim.due_by) for claim, applied in stored if applied.also_due]
    await sync_rows.lock(connection, [*(claim.subject for claim, _ in stored), *(subject for subject, _ in also_due)])
    if not await sync_rows.settle_all(connection, [(claim, applied.next_refresh_at) for claim, applied in stored]):
        raise FencedError
    now = inputs.clock()
    for due_by in sorted({due_by for _, due_by in also_due}):
        subjects = [subject for subject, by in also_due if by == due_by]
        await sync_rows.mark_due(connection, subjects, due_at=now, due_by=due_by)
    if left_behind := [subject for _, applied in stored for subject in applied.left_behind]:
        await sync_rows.rest(connection, left_behind)
    await _note(connection, inputs, [(claim, _outcome(applied)) for claim, applied in stored])


def _outcome(applied: Applied) -> str:
    return "changed" if applied.events_added else "unchanged"


def _report(inputs: FlowInputs, claim: Claim, applied: Applied) -> None:
    outcome = _outcome(applied)
    _count(inputs, claim, outcome)
    apply_snapshot.report(inputs, claim.subject, applied, discovered_by=claim.due_by)
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


async def note_failure(inputs: FlowInputs, claim: Claim, error: DotsError) -> None:
    """Record the failure and when to try again, and give the claim back.

    Every failure moves the row's due time, so that a failing row does not block the rows behind it.
    """
    now = inputs.clock()
    subject = claim.subject
    code = error.code
    may_become_dead = isinstance(error, _NOT_WORTH_RETRYING)
    is_dead = may_become_dead and now - (claim.failing_since or now) >= inputs.dead_after
    async with background.transaction(inputs) as connection:
        if may_become_dead and await merge_rows.is_gone(connection, subject):
            # The user was merged into another one, which has a sync row of its own.
            is_dead = False
            await sync_rows.settle(connection, claim, next_due_at=None)
        elif is_dead:
            await sync_rows.dead_letter(connection, claim, now=now, error=code)
        elif isinstance(error, _PAUSES):
            await sync_rows.defer(connection, claim, due_at=now + _BEHIND_DUE_ROWS)
        else:
            wait = schedule.RETRIES.wait(claim.attempts + 1, jitter=inputs.jitter(), at_least=error.retry_after)
            await sync_rows.postpone(connection, claim, due_at=now + wait, now=now, error=code)
        await _note(connection, inputs, [(claim, code)])
    # Logged after the commit, because the transaction is repeated if it fails.
    if is_dead:
        log.error("became a dead letter", app=subject.app, subject=str(subject), error=code)
    _count(inputs, claim, code)
    log.warning("refresh failed", app=subject.app, subject=str(subject), attempts=claim.attempts + 1, error=code)


async def put_off(inputs: FlowInputs, claim: Claim) -> None:
    """Postpone a claim after an unexpected error. It counts as a failure, so the waits grow."""
    now = inputs.clock()
    wait = schedule.RETRIES.wait(claim.attempts + 1, jitter=inputs.jitter())

    async def postpone() -> None:
        async with background.transaction(inputs) as connection:
            await sync_rows.postpone(connection, claim, due_at=now + wait, now=now, error=GatewayError.code)

    with contextlib.suppress(DatabaseUnavailableError):  # The lease has ended then, and the row is due again.
        await background.persist(
            inputs, postpone, until=claim.lease_until, what=f"{GatewayError.code} of {claim.subject}"
        )


async def _note(connection: AsyncConnection, inputs: FlowInputs, ended: Sequence[tuple[Claim, str]]) -> None:
    now = inputs.clock()
    records = [
        (claim.subject, RefreshRecord(ended_at=now, due_by=claim.due_by, outcome=outcome)) for claim, outcome in ended
    ]
    await refresh_rows.add(connection, records)


def _count(inputs: FlowInputs, claim: Claim, outcome: str) -> None:
    inputs.telemetry.refreshes.labels(claim.subject.app, claim.subject.kind, outcome).inc()
