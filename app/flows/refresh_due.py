"""Ask Dots about what is due, merge the answer, and set the next due time: the only way state changes."""

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

# How long a caller who waits for a refresh is kept waiting for the database.
_CALLERS_PATIENCE = timedelta(seconds=5)
# The most answers in one transaction.
_BATCH = 64
# A worker waits this long for more answers before it stores them, and for more free slots before it claims again.
# Both cost the same few statements for one flow as for many.
GATHER_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True)
class PassResult:
    """What one pass did."""

    claimed: int
    failed: int


class Refresher:
    """Refreshes what is claimed; answers that arrive at the same time are stored together.

    `run` has to run meanwhile: it stores the answers.
    """

    def __init__(self, inputs: FlowInputs, *, in_flight: int, gather_seconds: float = 0.0) -> None:
        """Allow this number of refreshes at the same time."""
        self._inputs = inputs
        self._in_flight = in_flight
        self._under_way = 0
        self._front = DueScanFloor()
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
        """One pass: claim what is due where there are free slots, and begin to refresh it as tasks.

        When a refresh ends, it wakes the next pass if more may have been due than there were slots. A Dots that hangs
        on a few flows therefore holds up no others.
        """
        free = self._in_flight - self._under_way
        if free <= 0:
            return 0
        claims = await claim_due.claim_due(self._inputs, limit=free, scan_floor=self._front)
        self._under_way += len(claims)
        for each in claims:
            tasks.create_task(self._refresh_in_slot(each))
        return len(claims)

    async def refresh(self, each: PermittedClaim) -> bool:
        """Refresh, and let no failure of one claim touch the others; what failed stays due."""
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
            # Where there was no slot left, more may be due than was claimed.
            was_full = self._under_way >= self._in_flight
            self._under_way -= 1
            if was_full and self._waking is None:
                self._waking = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._wake)

    def _wake(self) -> None:
        self._waking = None
        self._inputs.notifications.wake(notifications.DUE)


async def refresh_due(inputs: FlowInputs, *, limit: int, scan_floor: DueScanFloor | None = None) -> PassResult:
    """Claim up to `limit`, refresh all of them at once, and return when they have ended.

    With the `scan_floor` of earlier passes it looks only at what has become due since; without, at everything.
    """
    refresher = Refresher(inputs, in_flight=limit)
    claims = await claim_due.claim_due(inputs, limit=limit, scan_floor=scan_floor or DueScanFloor())
    async with background.running(refresher.run()):
        results = await asyncio.gather(*(refresher.refresh(each) for each in claims))
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
        until = min(claim.lease_until, inputs.clock() + _CALLERS_PATIENCE)
        snapshot = await _fetch_or_note(inputs, claim, permit, until=until)
        await _store(inputs, claim, snapshot, until=until)
    except FencedError:
        return False
    return True


async def _fetch_or_note(
    inputs: FlowInputs, claim: Claim, permit: Permit, *, until: datetime
) -> FlowSnapshot | UserSnapshot:
    """Ask Dots once. Notes a failure, for as long as it takes up to `until`, and raises it."""
    try:
        return await fetch(inputs, claim.subject, permit)
    except DotsError as error:
        note = partial(settle_refresh.note_failure, inputs, claim, error)
        await background.persist(inputs, note, until=until, what=f"{error.code} of {claim.subject}")
        raise


async def _store(inputs: FlowInputs, claim: Claim, snapshot: FlowSnapshot | UserSnapshot, *, until: datetime) -> None:
    """Store the answer in a transaction of its own: for as long as it takes, up to `until`."""
    store = partial(settle_refresh.store, inputs, claim, snapshot)
    await background.persist(inputs, store, until=until, what=str(claim.subject))


async def fetch(inputs: FlowInputs, subject: Subject, permit: Permit) -> FlowSnapshot | UserSnapshot:
    """Dots' answer about a flow or a user. Raises DotsError."""
    client = inputs.clients.of(subject.app)
    if subject.kind == "user":
        return await client.get_user(permit, subject.id)
    snapshot = await client.get_flow(permit, subject.id)
    if snapshot.id != subject.id:
        raise DotsInvalidResponseError("Dots answered with another flow than the one asked for.")
    return snapshot
