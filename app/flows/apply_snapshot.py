"""Merges Dots' answers into the stored state and appends the events, in the caller's transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app.dots.snapshots import FlowSnapshot, UserSnapshot
from app.feed import event_rows
from app.flows import (
    apply_merges,
    flow_rows,
    flow_search,
    merge_rows,
    user_rows,
)
from app.flows.flow_rows import FlowChange, FlowRecord
from app.flows.inputs import FlowInputs
from app.flows.rules import decide
from app.flows.rules.decide import Rules, Submission
from app.flows.sync_rows import DueBy
from app.storage import notifications
from app.storage.subjects import Subject

log = structlog.get_logger()

# The most flows in an event of a user. The event's schema has the same limit.
FLOWS_NAMED = 100


@dataclass(frozen=True, kw_only=True)
class Applied:
    """The consequences of one snapshot.

    `next_refresh_at` is when to ask again without a request (None: never). The caller makes `also_due` due, after its
    own sync row, because sync rows are locked in the order of their keys. It also ends the polls of `left_behind`: the
    users that were merged into this one. After the commit it calls `report`.
    """

    events_added: int
    next_refresh_at: datetime | None
    also_due: Subject | None = None
    left_behind: tuple[Subject, ...] = ()
    missing_again: Sequence[str] = ()
    found: int = 0


@dataclass(frozen=True, kw_only=True)
class SeenFlow:
    """A locked flow and Dots' answer about it."""

    known: FlowRecord
    snapshot: FlowSnapshot
    discovered_by: DueBy


async def apply_flow(
    connection: AsyncConnection, inputs: FlowInputs, app: str, snapshot: FlowSnapshot, *, discovered_by: DueBy
) -> Applied:
    """Merge a flow's snapshot under its row lock. Adds an unknown flow if foreign flows are followed."""
    known = await _lock_or_adopt(connection, inputs, app, snapshot)
    if known is None:
        return Applied(events_added=0, next_refresh_at=None)
    seen = SeenFlow(known=known, snapshot=snapshot, discovered_by=discovered_by)
    return (await apply_flows(connection, inputs, [seen]))[0]


async def apply_flows(connection: AsyncConnection, inputs: FlowInputs, seen: Sequence[SeenFlow]) -> list[Applied]:
    """Merge snapshots of different flows that the transaction has locked, with a few statements for all of them."""
    now, rules = inputs.clock(), _rules(inputs)
    seen = await _with_users_of_today(connection, seen)
    decisions = [decide.decide_flow(each.known.known, each.snapshot, now, rules=rules) for each in seen]
    changes = [
        FlowChange(
            known=each.known,
            snapshot=each.snapshot,
            progress=decision.progress,
            discovered_by=each.discovered_by,
            events_added=len(decision.events),
        )
        for each, decision in zip(seen, decisions, strict=True)
    ]
    await flow_rows.save(connection, changes, now=now)
    await event_rows.append_all(
        connection,
        ((decision.events, each.known.last_sequence) for each, decision in zip(seen, decisions, strict=True)),
    )
    submissions = [
        (each.known.app, decision.submission)
        for each, decision in zip(seen, decisions, strict=True)
        if decision.submission
    ]
    await _note_submissions(connection, submissions, now=now)
    return [
        Applied(
            events_added=len(decision.events),
            next_refresh_at=decision.next_refresh_at,
            also_due=_user_of(each.known.app, decision.submission),
            missing_again=decision.missing_again,
            found=decision.found,
        )
        for each, decision in zip(seen, decisions, strict=True)
    ]


def report(inputs: FlowInputs, subject: Subject, applied: Applied, *, discovered_by: DueBy) -> None:
    """Count and log the changes. Call it after the commit."""
    app = subject.app
    if applied.missing_again:
        inputs.telemetry.anomalies.labels(app).inc()
        log.warning("dots no longer reports completed steps", app=app, flow_id=subject.id, steps=applied.missing_again)
    if discovered_by == "sweep":
        inputs.telemetry.found_by_sweep.labels(app).inc(applied.found)
    inputs.telemetry.appended.labels(app).inc(applied.events_added)
    if applied.events_added:
        inputs.notifications.send(notifications.APPENDED)


async def apply_user(
    connection: AsyncConnection, inputs: FlowInputs, subject: Subject, snapshot: UserSnapshot
) -> Applied:
    """Merge a user's snapshot under its row lock. Adds an unknown user.

    First takes over the flows of users that were merged into this one. Does not change a user that was merged into
    another one, because Dots reports the same about that one.
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
    await user_rows.save(connection, known, decision.user_state, now=now, events_added=len(decision.events))
    await event_rows.append(connection, decision.events, after_sequence=known.last_sequence)
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
    """Lock the flow: find it by Dots' id or by our reference, or add it. None if it is not followed."""
    known = await flow_rows.lock(connection, app, snapshot.id)
    if known is None and (ref := _parse_ref(snapshot.client_ref)):
        intent = await flow_rows.lock_ref(connection, app, ref)
        # A second flow with our reference comes from a POST that Dots carried out twice. It is not the creation's flow.
        known = intent if intent and intent.id in (None, snapshot.id) else None
    if known is None and inputs.follow_foreign_flows:
        await flow_rows.add_foreign(connection, app, snapshot, ref=inputs.new_uuid(), now=inputs.clock())
        known = await flow_rows.lock(connection, app, snapshot.id)
    return known


async def _with_users_of_today(connection: AsyncConnection, seen: Sequence[SeenFlow]) -> list[SeenFlow]:
    """Replace users that were merged by those they were merged into. Dots may still name the old ones."""
    named = {user for each in seen if (user := _user_to_look_up(each))}
    if not named:
        return list(seen)
    today = await merge_rows.survivors(connection, sorted(named))
    return [
        replace(each, snapshot=replace(each.snapshot, user_id=today[user]))
        if (user := _user_to_look_up(each))
        else each
        for each in seen
    ]


def _user_to_look_up(each: SeenFlow) -> Subject | None:
    known, user_id = each.known, each.snapshot.user_id
    if user_id is None or (user_id == known.user_id and known.refreshed_at is not None):
        return None
    return Subject(app=known.app, kind="user", id=user_id)


def _parse_ref(client_ref: str | None) -> UUID | None:
    try:
        return UUID(client_ref) if client_ref else None
    except ValueError:
        return None


async def _note_submissions(
    connection: AsyncConnection, submissions: Collection[tuple[str, Submission]], *, now: datetime
) -> None:
    """Note submissions of users. Locks the users in order, so that two batches cannot deadlock."""
    for app, each in sorted(submissions, key=lambda noted: (noted[0], noted[1].user_id)):
        await user_rows.note_submission(
            connection, app, each.user_id, now=now, is_check=each.is_check, is_id=each.is_id
        )


def _user_of(app: str, submission: Submission | None) -> Subject | None:
    return None if submission is None else Subject(app=app, kind="user", id=submission.user_id)
