"""Decides what follows from a snapshot: the new state, the events, the next refresh, and who else is due."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.dots.snapshots import FlowSnapshot, UserSnapshot
from app.feed.events import Event
from app.flows.rules import events, progress, schedule, verdict
from app.flows.rules.events import FlowFacts, FlowName, UserFacts
from app.flows.rules.progress import Progress, ProgressDiff
from app.flows.rules.schedule import SWEEPS, VERDICT_POLLS, PollSchedule
from app.flows.rules.steps import BACKGROUND_CHECK, ID_VERIFICATION
from app.flows.rules.verdict import Change, UserState, Verdict


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The settings that decisions depend on."""

    sweeps: PollSchedule = SWEEPS
    verdict_polls: PollSchedule = VERDICT_POLLS
    may_pass_over: bool = False


@dataclass(frozen=True, kw_only=True)
class KnownFlow:
    """A flow before the snapshot. `last_sequence` is the sequence of its last event, 0 before the first."""

    app: str
    reference: str | None
    progress: Progress
    created_at: datetime
    last_sequence: int


@dataclass(frozen=True, kw_only=True)
class KnownUser:
    """A user before the snapshot, with the times of the latest submissions."""

    app: str
    id: str
    user_state: UserState = field(default_factory=UserState)
    check_submitted_at: datetime | None = None
    id_submitted_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A user has submitted a background check, an ID or both. The outcome belongs to the user, who is due now."""

    user_id: str
    is_check: bool
    is_id: bool


@dataclass(frozen=True, kw_only=True)
class FlowDecision:
    """The consequences of a flow's snapshot.

    `next_refresh_at`: when to ask again (None: never). `missing_again`: completed steps that the snapshot lacks.
    `found`: the number of new steps and claims in a flow that already has events.
    """

    progress: Progress
    events: Sequence[Event]
    next_refresh_at: datetime | None
    submission: Submission | None
    missing_again: Sequence[str]
    found: int


@dataclass(frozen=True, kw_only=True)
class UserDecision:
    """The consequences of a user's snapshot; `next_refresh_at` as in FlowDecision."""

    user_state: UserState
    events: Sequence[Event]
    next_refresh_at: datetime | None


def decide_flow(known: KnownFlow, snapshot: FlowSnapshot, now: datetime, *, rules: Rules) -> FlowDecision:
    """Decide what a snapshot of a flow changes."""
    diff = progress.merge(known.progress, snapshot, may_pass_over=rules.may_pass_over)
    is_over = diff.progress.is_complete
    return FlowDecision(
        progress=diff.progress,
        events=_flow_events(known, snapshot, diff, now),
        next_refresh_at=None if is_over else schedule.next_refresh(rules.sweeps, since=known.created_at, now=now),
        submission=_submission(diff),
        missing_again=diff.missing_again,
        found=len(diff.newly_completed) + diff.is_newly_claimed if known.last_sequence else 0,
    )


def steps_to_name(known: KnownUser, snapshot: UserSnapshot) -> frozenset[str]:
    """Return the steps whose flows `decide_user` needs, because an event lists those flows."""
    change = verdict.merge(known.user_state, snapshot)
    has_check_event = change.reported is not None or change.to_review is not None
    steps = {ID_VERIFICATION: change.is_newly_id_verified, BACKGROUND_CHECK: has_check_event}
    return frozenset(step for step, is_needed in steps.items() if is_needed)


def decide_user(
    known: KnownUser,
    snapshot: UserSnapshot,
    now: datetime,
    *,
    rules: Rules,
    flows: Mapping[str, Sequence[FlowName]],
) -> UserDecision:
    """Decide what a snapshot of a user changes. `flows` has the flows for each of `steps_to_name`."""
    change = verdict.merge(known.user_state, snapshot)
    return UserDecision(
        user_state=change.user_state,
        events=_user_events(known, change, now, flows),
        next_refresh_at=_next_refresh_at(known, change, now, rules),
    )


def _flow_events(known: KnownFlow, snapshot: FlowSnapshot, diff: ProgressDiff, now: datetime) -> list[Event]:
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


def _submission(diff: ProgressDiff) -> Submission | None:
    # Steps completed before the user was known count as submitted now.
    submitted = diff.progress.completed if diff.is_newly_claimed else diff.newly_completed
    is_check, is_id = BACKGROUND_CHECK in submitted, ID_VERIFICATION in submitted
    if diff.progress.user_id is None or not (is_check or is_id):
        return None
    return Submission(user_id=diff.progress.user_id, is_check=is_check, is_id=is_id)


def _user_events(
    known: KnownUser, change: Change, now: datetime, flows: Mapping[str, Sequence[FlowName]]
) -> list[Event]:
    fresh = []
    if change.is_newly_id_verified:
        facts = UserFacts(app=known.app, user_id=known.id, flows=flows[ID_VERIFICATION])
        fresh.append(events.id_verified(facts, now))
    if change.reported is None and change.to_review is None:
        return fresh
    facts = UserFacts(app=known.app, user_id=known.id, flows=flows[BACKGROUND_CHECK])
    if change.reported is not None:
        settlement = change.user_state.verdict_count
        fresh.append(
            events.verdict_settled(facts, now, verdict=change.reported, previous=change.previous, settlement=settlement)
        )
    if change.to_review is not None:
        fresh.append(events.review_needed(facts, now, check_status=change.to_review, previous=change.previous))
    return fresh


def _next_refresh_at(known: KnownUser, change: Change, now: datetime, rules: Rules) -> datetime | None:
    """Poll an awaited outcome often. Sweep a settled verdict, because Dots may reverse it.

    Sweep a check that needs review too after its polls have ended, because a review may take longer than a check.
    """
    user_state = change.user_state
    since = known.check_submitted_at or now
    times = []
    if user_state.verdict.is_awaited or change.is_under_way:  # A second check may be under way after a settled one.
        times.append(schedule.next_refresh(rules.verdict_polls, since=since, now=now))
    if known.id_submitted_at is not None and not user_state.was_id_verified:
        times.append(schedule.next_refresh(rules.verdict_polls, since=known.id_submitted_at, now=now))
    if user_state.verdict.is_settled or user_state.verdict is Verdict.NEEDS_REVIEW:
        times.append(schedule.next_refresh(rules.sweeps, since=since, now=now))
    return min((time for time in times if time is not None), default=None)
