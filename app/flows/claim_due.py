"""Claims due rows for a worker: finds the apps that may be called, divides the limit, and claims their rows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.dots.gate import Gate, Permit
from app.flows import due_rows
from app.flows.due_rows import (
    KINDS,
    AppScan,
    ClaimedRow,
    Due,
    DueKind,
)
from app.flows.due_scan_floor import DueScanFloor, View
from app.flows.inputs import FlowInputs
from app.flows.rules import sharing
from app.flows.sync_rows import Claim
from app.storage import background


@dataclass(frozen=True, kw_only=True)
class PermittedClaim:
    """A claim and the permit for its call to Dots."""

    claim: Claim
    permit: Permit


async def claim_due(inputs: FlowInputs, *, limit: int, scan_floor: DueScanFloor) -> list[PermittedClaim]:
    """Claim up to `limit` due subjects: first requested ones, then sweeps, the longest due first.

    Claims no rows of an app that is paused, whose budget is spent, or that is not in the settings. The other apps share
    the limit, so that a busy app does not delay a quiet one. Raises DatabaseUnavailableError.
    """
    now = inputs.clock()
    gates = {app: client.gate for app, client in inputs.clients.items()}
    apps = [app for app, gate in gates.items() if not gate.is_shut(reserve=_reserve(gate, "requested"))]
    if not apps:
        return []
    turn = _Turn(
        inputs=inputs, gates=gates, scan_floor=scan_floor, view=scan_floor.view(apps, share=limit, now=now), now=now
    )
    claims: list[PermittedClaim] = []
    try:
        found = await turn.count()
        for kind in KINDS:
            claims += await turn.claim(found, kind, limit - len(claims))
    finally:
        if turn.view.is_full:
            scan_floor.end_full_scan(took=turn.took, now=inputs.clock())
    return claims


@dataclass(kw_only=True)
class _Turn:
    """The steps of one claim. `took` is the time that its statements have taken."""

    inputs: FlowInputs
    gates: Mapping[str, Gate]
    scan_floor: DueScanFloor
    view: View
    now: datetime
    took: timedelta = timedelta(0)

    async def count(self) -> list[Due]:
        """Count the due rows of each app that is not paused."""
        async with background.transaction(self.inputs) as connection:
            with self._timed():
                found = await due_rows.count(connection, self.view.scans, now=self.now)
        for due in found:
            if due.is_paused:  # So that rows from before the pause are found right after it.
                self.scan_floor.forget(due.app)
        return [due for due in found if not due.is_paused]

    async def claim(self, found: list[Due], kind: DueKind, limit: int) -> list[PermittedClaim]:
        """Claim rows of one kind, as far as the limit and the budgets allow."""
        wanted = {
            due.app: due.count(kind)
            for due in found
            if due.count(kind) and not self.gates[due.app].is_shut(reserve=_reserve(self.gates[due.app], kind))
        }
        shares = sharing.share(wanted, limit, first=int(self.inputs.jitter() * len(wanted)))
        permits: dict[str, list[Permit]] = {}
        claims: list[PermittedClaim] = []
        try:
            for app, number in shares.items():
                permits[app] = await self.gates[app].take(number, reserve=_reserve(self.gates[app], kind))
            granted = {app: len(given) for app, given in permits.items()}
            rows = await self._claim_rows(found, kind, granted) if any(permits.values()) else []
            claims = [PermittedClaim(claim=row.claim, permit=permits[row.claim.subject.app].pop()) for row in rows]
        finally:
            for app, unused in permits.items():
                self.gates[app].give_back(unused)
        self._advance(found, kind, granted, rows)
        return claims

    async def _claim_rows(self, found: list[Due], kind: DueKind, granted: Mapping[str, int]) -> list[ClaimedRow]:
        # The count found no row that is due earlier, so the claim begins there.
        scans = [
            AppScan(
                app=due.app,
                share=granted[due.app],
                requested_floor=due.requested_since,
                sweep_floor=due.sweep_since,
            )
            for due in found
            if granted.get(due.app)
        ]
        async with background.transaction(self.inputs) as connection:
            with self._timed():
                return await due_rows.claim(
                    connection,
                    scans,
                    kind=kind,
                    now=self.now,
                    lease_until=self.now + self.inputs.lease,
                    token=self.inputs.new_uuid(),
                )

    def _advance(self, found: list[Due], kind: DueKind, granted: Mapping[str, int], rows: list[ClaimedRow]) -> None:
        scans = {scan.app: scan for scan in self.view.scans}
        for due in found:
            claimed = [row.due_at for row in rows if row.claim.subject.app == due.app]
            if not granted.get(due.app):
                seen_up_to = due.since(kind)
            elif len(claimed) < granted[due.app]:
                seen_up_to = None  # There were no more rows.
            else:
                seen_up_to = claimed[-1]
            self.scan_floor.advance(
                scans[due.app], kind, seen_up_to=seen_up_to, now=self.now, is_full=self.view.is_full
            )

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began_at = self.inputs.clock()
        try:
            yield
        finally:
            self.took += max(self.inputs.clock() - began_at, timedelta(0))


def _reserve(gate: Gate, kind: DueKind) -> float:
    return gate.budget.reserve_of_refreshes if kind == "requested" else gate.budget.reserve_of_sweeps
