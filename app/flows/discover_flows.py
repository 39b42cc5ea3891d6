"""Pages through Dots' list of flows, to find those created elsewhere and those whose creation got no answer.

Only makes a found flow due. Its refresh adopts it, by our reference if it has one.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog

from app.dots.snapshots import FlowPage
from app.errors import DatabaseUnavailableError, DotsError
from app.flows import listing_rows, sync_rows
from app.flows.inputs import FlowInputs
from app.storage import background, notifications
from app.storage.subjects import Subject

log = structlog.get_logger()

PAGE_SIZE = 100
# The interval between listings while a creation has no outcome.
SEARCH_EVERY = timedelta(seconds=30)
# A younger creation is not searched for, because Dots may still be working on it.
SEARCH_AFTER = timedelta(seconds=15)
# The largest expected difference between Dots' clock and ours.
CLOCK_MARGIN = timedelta(minutes=10)


class _LostError(Exception):
    """The lease had ended and another process has begun a listing, so the results of this one may be too old."""


@dataclass(kw_only=True)
class _Listing:
    """One listing: the end of its lease, what it has found, and how far it must go."""

    began_at: datetime
    held_until: datetime
    oldest_wanted: datetime | None
    refs: set[str] = field(default_factory=set)
    found: int = 0
    is_enough: bool = False
    _is_newest_first: bool = True
    _last_created_at: datetime | None = None

    def note(self, page: FlowPage, unknown: int) -> None:
        """Note the flows of a page.

        Dots does not document the order of the list. If all pages so far were newest first, the listing can stop at a
        page whose flows are all known and older than the creations searched for.
        """
        self.refs.update(flow.client_ref for flow in page.flows if flow.client_ref)
        self.found += unknown
        for flow in page.flows:
            is_later = flow.created_at and self._last_created_at and flow.created_at > self._last_created_at
            self._is_newest_first = self._is_newest_first and flow.created_at is not None and not is_later
            self._last_created_at = flow.created_at
        is_past = (
            self.oldest_wanted is None
            or self._last_created_at is None
            or self._last_created_at < self.oldest_wanted - CLOCK_MARGIN
        )
        self.is_enough = not page.has_more or not page.flows or (self._is_newest_first and not unknown and is_past)


async def discover_flows(inputs: FlowInputs) -> int:
    """One pass: list the flows of each app that is due. Returns how many flows were unknown."""
    found = 0
    for app in inputs.clients:
        now = inputs.clock()
        async with background.transaction(inputs) as connection:
            is_ours = await listing_rows.claim(
                connection, app, now=now, until=now + inputs.lease, unsettled_before=now - SEARCH_AFTER
            )
            wanted = await listing_rows.unsettled(connection, app, before=now - SEARCH_AFTER) if is_ours else []
        if is_ours:
            oldest = wanted[0].attempted_at if wanted else None
            listing = _Listing(began_at=now, held_until=now + inputs.lease, oldest_wanted=oldest)
            try:
                await _list(inputs, app, listing)
            except _LostError:
                log.warning("listing overtaken", app=app)
            found += listing.found
    return found


async def _list(inputs: FlowInputs, app: str, listing: _Listing) -> None:
    try:
        await _walk(inputs, app, listing)
    except (DotsError, DatabaseUnavailableError) as error:
        log.warning("flows not listed", app=app, error=error.code)
    # Otherwise the next listing could begin only when the lease of this one ends.
    await background.persist(
        inputs, lambda: _end(inputs, app, listing), until=listing.held_until, what=f"listing of {app}"
    )
    if listing.found:
        log.info("flows discovered", app=app, count=listing.found)
        inputs.notifications.send(notifications.DUE)


async def _end(inputs: FlowInputs, app: str, listing: _Listing) -> None:
    """Record the result for creations without an outcome, and release the listing."""
    async with background.transaction(inputs) as connection:
        unsettled = await listing_rows.unsettled(connection, app, before=listing.began_at - SEARCH_AFTER)
        missing = [creation.ref for creation in unsettled if str(creation.ref) not in listing.refs]
        if listing.is_enough and missing:
            await listing_rows.count_search(connection, missing)
        # Dots may have created it late. Until a refresh has adopted it, it must not be requested again.
        if found := [creation.ref for creation in unsettled if str(creation.ref) in listing.refs]:
            await listing_rows.forget_searches(connection, found)
        wait = SEARCH_EVERY if unsettled or not listing.is_enough else inputs.discover_every
        due_at = inputs.clock() + wait
        if not await listing_rows.release(connection, app, held_until=listing.held_until, due_at=due_at):
            raise _LostError


async def _walk(inputs: FlowInputs, app: str, listing: _Listing) -> None:
    """Follow the pages until there is enough, the budget ends, or Dots repeats a page."""
    last: str | None = None
    seen: set[str] = set()
    client = inputs.clients.of(app)
    while not listing.is_enough and (permits := await client.gate.take(reserve=client.gate.budget.reserve_of_sweeps)):
        page = await client.list_flows(permits[0], limit=PAGE_SIZE, starting_after=last)
        make_due = partial(_make_due, inputs, app, page, listing)
        listing.note(page, await background.persist(inputs, make_due, until=listing.held_until, what=f"page of {app}"))
        ids = [flow.id for flow in page.flows if flow.id]
        if len(ids) < len(page.flows):
            log.warning("dots lists flows without a readable id", app=app, count=len(page.flows) - len(ids))
        if not listing.is_enough:
            if not ids or ids[-1] in seen:
                log.warning("dots' list of flows leads nowhere", app=app)
                return
            last = ids[-1]
            seen.add(last)


async def _make_due(inputs: FlowInputs, app: str, page: FlowPage, listing: _Listing) -> int:
    """Make unknown flows due if they are to be followed, and extend the lease. Returns how many."""
    followed = {flow.id for flow in page.flows if flow.id and (inputs.follow_foreign_flows or flow.client_ref)}
    async with background.transaction(inputs) as connection:
        unknown = await listing_rows.unknown(connection, app, followed)
        if unknown:
            subjects = [Subject(app=app, kind="flow", id=flow_id) for flow_id in unknown]
            await sync_rows.mark_due(connection, subjects, due_at=inputs.clock(), due_by="sweep")
        until = inputs.clock() + inputs.lease
        if not await listing_rows.extend(connection, app, held_until=listing.held_until, until=until):
            raise _LostError
    listing.held_until = until
    return len(unknown)
