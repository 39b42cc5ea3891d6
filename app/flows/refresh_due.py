"""Refreshes: asks Dots about due flows and users, and stores the answers. Only refreshes and creations change state."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from app.dots.gate import Permit
from app.dots.snapshots import FlowSnapshot, UserSnapshot
from app.errors import DatabaseUnavailableError, DotsError, DotsInvalidResponseError
from app.flows import claim_due, settle_refresh, sync_rows
from app.flows.claim_due import PermittedClaim
from app.flows.due_scan_floor import DueScanFloor
from app.flows.inputs import FlowInputs
from app.flows.settle_refresh import FencedError, FetchedFlow
from app.flows.sync_rows import Claim
from app.storage import background, database, notifications
from app.storage.group_commit import GroupCommit
from app.storage.subjects import Subject

log = structlog.get_logger()

# How long a caller of a refresh waits for the database.
_CALLER_WAIT = timedelta(seconds=5)
# The most answers in one transaction.
_BATCH = 64
# A worker waits this long for more answers before it stores them, and for more free slots before it claims again.
# Both take the same number of statements for one flow as for many.
GATHER_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True)
class PassResult:
    """The counts of one pass."""

    claimed: int
    failed: int


class Refresher:
    """Refreshes claimed subjects. Stores answers about flows that arrive at the same time together.

    `run` stores the answers, so it must run meanwhile.
    """

    def __init__(self, inputs: FlowInputs, *, in_flight: int, gather_seconds: float = 0.0) -> None:
        """Allow this number of refreshes at the same time."""
        self._inputs = inputs
        self._in_flight = in_flight
        self._under_way = 0
        self._scan_floor = DueScanFloor()
        self._waking: asyncio.TimerHandle | None = None
        self._answers: GroupCommit[FetchedFlow, bool] = GroupCommit(
            partial(settle_refresh.store_together, inputs),
            name="answers about flows",
            waiting_limit=in_flight,
            batch_limit=_BATCH,
            gather_seconds=gather_seconds,
        )
        self.run = self._answers.run

    async def begin_due(self, tasks: asyncio.TaskGroup) -> int:
        """One pass: claim due subjects for the free slots, and begin a task to refresh each.

        If all slots are in use, the end of a refresh wakes the next pass. A few flows about which Dots does not answer
        therefore do not delay the others.
        """
        free = self._in_flight - self._under_way
        if free <= 0:
            return 0
        claims = await claim_due.claim_due(self._inputs, limit=free, scan_floor=self._scan_floor)
        self._under_way += len(claims)
        for each in claims:
            tasks.create_task(self._refresh_in_slot(each))
        return len(claims)

    async def refresh(self, each: PermittedClaim) -> bool:
        """Refresh one claim. Returns False after a failure, which leaves the subject due and the others unaffected."""
        inputs, claim = self._inputs, each.claim
        try:
            snapshot = await _fetch_or_note(inputs, claim, each.permit, until=claim.lease_until)
            if not (
                isinstance(snapshot, FlowSnapshot)
                and await self._answers.submit(FetchedFlow(claim=claim, snapshot=snapshot))
            ):
                await _store(inputs, claim, snapshot, until=claim.lease_until)
        except (DotsError, FencedError, DatabaseUnavailableError):
            return False
        except Exception:  # One claim's bug must not stop the loop for the others.
            log.exception("refresh failed unexpectedly", app=claim.subject.app, subject=str(claim.subject))
            await settle_refresh.put_off(inputs, claim)
            return False
        return True

    async def _refresh_in_slot(self, each: PermittedClaim) -> None:
        try:
            await self.refresh(each)
        finally:
            # If all slots were in use, more may be due than was claimed.
            was_full = self._under_way >= self._in_flight
            self._under_way -= 1
            if was_full and self._waking is None:
                self._waking = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._wake)

    def _wake(self) -> None:
        self._waking = None
        self._inputs.notifications.wake(notifications.DUE)


async def refresh_due(inputs: FlowInputs, *, limit: int, scan_floor: DueScanFloor | None = None) -> PassResult:
    """Claim up to `limit` due subjects, refresh all of them at once, and return when they have ended.

    With the `scan_floor` of earlier passes it scans only newly due rows, without it all rows.
    """
    refresher = Refresher(inputs, in_flight=limit)
    claims = await claim_due.claim_due(inputs, limit=limit, scan_floor=scan_floor or DueScanFloor())
    async with background.running(refresher.run()):
        results = await asyncio.gather(*(refresher.refresh(each) for each in claims))
    return PassResult(claimed=len(claims), failed=results.count(False))


async def refresh_now(inputs: FlowInputs, subject: Subject) -> bool:
    """Ask Dots about one subject now. Returns False if another process is asking.

    Raises DotsError after it has set the next try, and DatabaseUnavailableError after it has tried to store the answer
    for a few seconds. If Dots may not be called now, a worker asks later.
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
        until = min(claim.lease_until, inputs.clock() + _CALLER_WAIT)
        snapshot = await _fetch_or_note(inputs, claim, permit, until=until)
        await _store(inputs, claim, snapshot, until=until)
    except FencedError:
        return False
    return True


async def _fetch_or_note(
    inputs: FlowInputs, claim: Claim, permit: Permit, *, until: datetime
) -> FlowSnapshot | UserSnapshot:
    """Ask Dots once. Raises a failure after recording it, which it tries until `until`."""
    try:
        return await fetch(inputs, claim.subject, permit)
    except DotsError as error:
        note = partial(settle_refresh.note_failure, inputs, claim, error)
        await background.persist(inputs, note, until=until, what=f"{error.code} of {claim.subject}")
        raise


async def _store(inputs: FlowInputs, claim: Claim, snapshot: FlowSnapshot | UserSnapshot, *, until: datetime) -> None:
    """Store the answer in a transaction of its own. Tries until `until`."""
    store = partial(settle_refresh.store, inputs, claim, snapshot)
    await background.persist(inputs, store, until=until, what=str(claim.subject))


async def fetch(inputs: FlowInputs, subject: Subject, permit: Permit) -> FlowSnapshot | UserSnapshot:
    """Return Dots' answer about a flow or a user. Raises DotsError."""
    client = inputs.clients.of(subject.app)
    if subject.kind == "user":
        return await client.get_user(permit, subject.id)
    snapshot = await client.get_flow(permit, subject.id)
    if snapshot.id != subject.id:
        raise DotsInvalidResponseError("Dots answered with another flow than the requested one.")
    return snapshot
