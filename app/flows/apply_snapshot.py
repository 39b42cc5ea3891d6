"""Merge what Dots said into what is stored, and append the events that follow: one transaction, the caller's."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app.dots.snapshots import FlowSnapshot, UserSnapshot
from app.feed import event_rows
from app.feed.events import Event
from app.flows import (
    apply_merges,
    flow_rows,
    flow_search,
    merge_rows,
    user_rows,
)
from app.flows.flow_rows import FlowRecord
from app.flows.inputs import FlowInputs
from app.flows.rules import events, progress, schedule, verdict
from app.flows.rules.events import FlowFacts, UserFacts
from app.flows.rules.progress import ProgressDiff
from app.flows.rules.steps import BACKGROUND_CHECK, ID_VERIFICATION
from app.flows.rules.verdict import Verdict
from app.flows.sync_rows import DueBy
from app.flows.user_rows import UserRecord
from app.storage.subjects import Subject

log = structlog.get_logger()

# How many flows an event of a user names at most; its schema says so too.
FLOWS_NAMED = 100


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What a snapshot came to.

    `next_refresh_at` is when to ask again without being told to (None: never). The caller makes `also_due` due, after
    its own sync row: sync rows are locked in the order of their keys. It also ends the polls of `left_behind`: users
    that were merged into this one.
    """

    events_added: int
    next_refresh_at: datetime | None
    also_due: Subject | None = None
    left_behind: tuple[Subject, ...] = ()


async def apply_flow(
    connection: AsyncConnection, inputs: FlowInputs, app: str, snapshot: FlowSnapshot, *, discovered_by: DueBy
) -> Applied:
    """Merge a flow's snapshot under its row lock; a flow never seen is adopted, if foreign flows are followed."""
    now = inputs.clock()
    known = await _lock_or_adopt(connection, inputs, app, snapshot)
    if known is None:
        return Applied(events_added=0, next_refresh_at=None)
    snapshot = await _with_user_of_today(connection, known, snapshot)
    diff = progress.merge(known.progress, snapshot, may_pass_over=inputs.complete_passed_over)
    fresh = _flow_events(known, snapshot, diff, now)
    await flow_rows.save(
        connection,
        known,
        snapshot,
        diff.progress,
        now=now,
        discovered_by=discovered_by,
        events_added=len(fresh),
    )
    await event_rows.append(connection, fresh, after_sequence=known.last_sequence)
    also_due = await _note_submission(connection, app, diff, now=now)
    if diff.missing_again:
        inputs.telemetry.anomalies.labels(app).inc()
        log.warning("dots no longer reports completed steps", app=app, flow_id=snapshot.id, steps=diff.missing_again)
    if discovered_by == "sweep" and known.last_sequence:
        inputs.telemetry.found_by_sweep.labels(app).inc(len(diff.newly_completed) + diff.is_newly_claimed)
    inputs.telemetry.appended.labels(app).inc(len(fresh))
    return Applied(
        events_added=len(fresh),
        next_refresh_at=None
        if diff.progress.is_complete
        else schedule.next_refresh(inputs.sweeps, since=known.created_at, now=now),
        also_due=also_due,
    )


async def apply_user(
    connection: AsyncConnection, inputs: FlowInputs, subject: Subject, snapshot: UserSnapshot
) -> Applied:
    """Merge a user's snapshot under its row lock; a user never seen is added.

    First takes over the flows of users that were merged into this one. A user that was itself merged into another stays
    as it was: Dots reports the same about the other one.
    """
    now = inputs.clock()
    merged = await apply_merges.apply_merges(connection, subject, now=now)
    known = await user_rows.lock(connection, subject.app, subject.id, now=now)
    if known.merged_into is not None:
        return Applied(events_added=0, next_refresh_at=None)
    change = verdict.merge(known.user_state, snapshot)
    fresh = await _user_events(connection, known, change, now)
    await user_rows.save(connection, known, change.user_state, now=now, events_added=len(fresh))
    await event_rows.append(connection, fresh, after_sequence=known.last_sequence)
    inputs.telemetry.appended.labels(subject.app).inc(len(fresh))
    return Applied(
        events_added=len(fresh),
        next_refresh_at=now if merged.has_more else _next_refresh_at(inputs, known, change, now),
        left_behind=merged.left_behind,
    )


async def _lock_or_adopt(
    connection: AsyncConnection, inputs: FlowInputs, app: str, snapshot: FlowSnapshot
) -> FlowRecord | None:
    """The stored flow, locked: found by Dots' id, by the reference we sent along, or added; None: not followed."""
    known = await flow_rows.lock(connection, app, snapshot.id)
    if known is None and (ref := _parse_ref(snapshot.client_ref)):
        intent = await flow_rows.lock_ref(connection, app, ref)
        # A second flow with our reference would be Dots' answer to a POST sent twice: not that creation's flow.
        known = intent if intent and intent.id in (None, snapshot.id) else None
    if known is None and inputs.follow_foreign_flows:
        await flow_rows.add_foreign(connection, app, snapshot, ref=inputs.new_uuid(), now=inputs.clock())
        known = await flow_rows.lock(connection, app, snapshot.id)
    return known


async def _with_user_of_today(connection: AsyncConnection, known: FlowRecord, snapshot: FlowSnapshot) -> FlowSnapshot:
    """The snapshot with its user replaced by the one it was merged into. Dots may still name the old user."""
    if snapshot.user_id is None or (snapshot.user_id == known.user_id and known.refreshed_at is not None):
        return snapshot
    user = Subject(app=known.app, kind="user", id=snapshot.user_id)
    return replace(snapshot, user_id=(await merge_rows.survivors(connection, [user]))[user])


def _parse_ref(client_ref: str | None) -> UUID | None:
    try:
        return UUID(client_ref) if client_ref else None
    except ValueError:
        return None


def _flow_events(known: FlowRecord, snapshot: FlowSnapshot, diff: ProgressDiff, now: datetime) -> list[Event]:
    facts = FlowFacts(app=known.app, flow_id=snapshot.id, reference=known.reference, user_id=diff.progress.user_id)
    fresh = []
    if known.last_sequence == 0:
        fresh.append(events.flow_created(facts, now))
    if diff.is_newly_claimed:
        fresh.append(events.flow_claimed(facts, now))
    fresh += [events.step_completed(facts, now, step=step) for step in diff.newly_completed]
    if diff.is_newly_complete:
        fresh.append(events.flow_completed(facts, now, passed_over=diff.progress.passed_over))
    return fresh


async def _user_events(
    connection: AsyncConnection, known: UserRecord, change: verdict.Change, now: datetime
) -> list[Event]:
    fresh = []
    if change.is_newly_id_verified:
        fresh.append(events.id_verified(await _facts(connection, known, step=ID_VERIFICATION), now))
    if change.reported is None and change.to_review is None:
        return fresh
    facts = await _facts(connection, known, step=BACKGROUND_CHECK)
    if change.reported is not None:
        settlement = change.user_state.verdict_count
        fresh.append(
            events.verdict_settled(facts, now, verdict=change.reported, previous=change.previous, settlement=settlement)
        )
    if change.to_review is not None:
        fresh.append(events.review_needed(facts, now, check_status=change.to_review, previous=change.previous))
    return fresh


async def _facts(connection: AsyncConnection, user: UserRecord, *, step: str) -> UserFacts:
    flows = await flow_search.of_user(connection, user.app, user.id, step=step, limit=FLOWS_NAMED)
    return UserFacts(app=user.app, user_id=user.id, flows=flows)


async def _note_submission(
    connection: AsyncConnection, app: str, diff: ProgressDiff, *, now: datetime
) -> Subject | None:
    """What was handed in is decided on the user, later: remember that, and return the user to look at."""
    # What was handed in before the user was known counts from now on.
    handed_in = diff.progress.completed if diff.is_newly_claimed else diff.newly_completed
    is_check = BACKGROUND_CHECK in handed_in
    is_id = ID_VERIFICATION in handed_in
    user_id = diff.progress.user_id
    if user_id is None or not (is_check or is_id):
        return None
    await user_rows.note_submission(connection, app, user_id, now=now, is_check=is_check, is_id=is_id)
    return Subject(app=app, kind="user", id=user_id)


def _next_refresh_at(inputs: FlowInputs, known: UserRecord, change: verdict.Change, now: datetime) -> datetime | None:
    """While something is awaited, often; what is settled is swept, because Dots may reverse it.

    A check that needs review is swept too after its polls have ended: a review may take longer than a check.
    """
    user_state = change.user_state
    since = known.check_submitted_at or now
    looks = []
    if user_state.verdict.is_awaited or change.is_under_way:  # Under way may be another check, after a settled one.
        looks.append(schedule.next_refresh(inputs.verdict_polls, since=since, now=now))
    if known.id_submitted_at is not None and not user_state.was_id_verified:
        looks.append(schedule.next_refresh(inputs.verdict_polls, since=known.id_submitted_at, now=now))
    if user_state.verdict.is_settled or user_state.verdict is Verdict.NEEDS_REVIEW:
        looks.append(schedule.next_refresh(inputs.sweeps, since=since, now=now))
    return min((look for look in looks if look is not None), default=None)
