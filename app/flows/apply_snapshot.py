"""Merge what Dots said into what is stored, and append the events that follow: one transaction, the caller's."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app.dots.snapshots import FlowSnapshot, UserSnapshot
from app.feed import event_rows
from app.flows import (
    apply_merges,
    decide,
    flow_rows,
    flow_search,
    merge_rows,
    user_rows,
)
from app.flows.decide import Rules, Submission
from app.flows.flow_rows import FlowRecord
from app.flows.inputs import FlowInputs
from app.flows.sync_rows import DueBy
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
    decision = decide.decide_flow(known.known, snapshot, now, rules=_rules(inputs))
    await flow_rows.save(
        connection,
        known,
        snapshot,
        decision.progress,
        now=now,
        discovered_by=discovered_by,
        events_added=len(decision.events),
    )
    await event_rows.append(connection, decision.events, after_sequence=known.last_sequence)
    also_due = await _note_submission(connection, app, decision.submission, now=now)
    if decision.missing_again:
        inputs.telemetry.anomalies.labels(app).inc()
        log.warning(
            "dots no longer reports completed steps", app=app, flow_id=snapshot.id, steps=decision.missing_again
        )
    if discovered_by == "sweep":
        inputs.telemetry.found_by_sweep.labels(app).inc(decision.found)
    inputs.telemetry.appended.labels(app).inc(len(decision.events))
    return Applied(events_added=len(decision.events), next_refresh_at=decision.next_refresh_at, also_due=also_due)


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
    flows = {
        step: await flow_search.of_user(connection, subject.app, subject.id, step=step, limit=FLOWS_NAMED)
        for step in decide.steps_to_name(known, snapshot)
    }
    decision = decide.decide_user(known, snapshot, now, rules=_rules(inputs), flows=flows)
    await user_rows.save(connection, known, decision.standing, now=now, events_added=len(decision.events))
    await event_rows.append(connection, decision.events, after_sequence=known.last_sequence)
    inputs.telemetry.appended.labels(subject.app).inc(len(decision.events))
    return Applied(
        events_added=len(decision.events),
        next_refresh_at=now if merged.has_more else decision.next_refresh_at,
        left_behind=merged.left_behind,
    )


def _rules(inputs: FlowInputs) -> Rules:
    return Rules(sweeps=inputs.sweeps, verdict_polls=inputs.verdict_polls, may_pass_over=inputs.complete_passed_over)


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


async def _note_submission(
    connection: AsyncConnection, app: str, submission: Submission | None, *, now: datetime
) -> Subject | None:
    """Note what a user has handed in, and return the user to look at."""
    if submission is None:
        return None
    await user_rows.note_submission(
        connection, app, submission.user_id, now=now, is_check=submission.is_check, is_id=submission.is_id
    )
    return Subject(app=app, kind="user", id=submission.user_id)
