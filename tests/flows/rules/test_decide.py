"""Tables of decisions: what follows from a snapshot."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.dots.snapshots import FlowSnapshot, UserSnapshot
from app.flows.rules import decide
from app.flows.rules.decide import KnownFlow, KnownUser, Rules, Submission
from app.flows.rules.events import FlowName
from app.flows.rules.progress import Progress
from app.flows.rules.verdict import UserState, Verdict

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STEPS = ("compliance", "payout")
CREATED, CLAIMED, STEP, COMPLETED = (
    f"dots.flow.{name}" for name in ("created", "claimed", "step_completed", "completed")
)
CLEARED, FLAGGED, REVIEW = (f"dots.background_check.{name}" for name in ("cleared", "flagged", "needs_review"))
ID_VERIFIED = "dots.user.id_verified"
BOTH = frozenset({"background-check", "id-verification"})


def known_flow(
    *completed: str, steps: tuple[str, ...] = STEPS, user_id: str | None = None, last_sequence: int = 1
) -> KnownFlow:
    """An open flow that was created a moment ago."""
    return KnownFlow(
        app="default",
        reference="payee-17",
        progress=Progress(steps=steps, completed=completed, user_id=user_id),
        created_at=NOW,
        last_sequence=last_sequence,
    )


def flow_says(*completed: str, steps: tuple[str, ...] = STEPS, user_id: str | None = None) -> FlowSnapshot:
    """Dots' answer about a flow."""
    return FlowSnapshot(
        id="flow-1",
        steps=steps,
        completed_steps=completed,
        user_id=user_id,
        link=None,
        metadata=None,
        client_ref=None,
        payout_link_id=None,
        created_at=None,
    )


def user_says(
    check_status: str | None = None, *, flag: bool | None = None, id_verified: bool | None = None
) -> UserSnapshot:
    """Dots' answer about a user."""
    return UserSnapshot(
        id="user-1",
        status="verified",
        id_verified=id_verified,
        check_status=check_status,
        has_criminal_activity=flag,
        older_check_failed=None,
    )


FLOW_EVENTS: list[tuple[KnownFlow, FlowSnapshot, list[str], int]] = [
    # The first snapshot of a flow gives all its events, in this order. None of them counts as found.
    (
        known_flow(last_sequence=0),
        flow_says("onboard", *STEPS, user_id="user-1"),
        [CREATED, CLAIMED, STEP, STEP, STEP, COMPLETED],
        0,
    ),
    (known_flow(last_sequence=0), flow_says(), [CREATED], 0),
    # Later snapshots add events.
    (known_flow(), flow_says(), [], 0),
    (known_flow(), flow_says("compliance"), [STEP], 1),
    (known_flow(), flow_says("compliance", user_id="user-1"), [CLAIMED, STEP], 2),
    (known_flow("compliance"), flow_says(*STEPS), [STEP, COMPLETED], 1),
    (known_flow("compliance"), flow_says("compliance"), [], 0),
    # Nothing is taken back.
    (known_flow("compliance", user_id="user-1"), flow_says(), [], 0),
]


@pytest.mark.parametrize(("known", "snapshot", "types", "found"), FLOW_EVENTS)
def test_flow_events_follow_from_what_is_new(
    known: KnownFlow, snapshot: FlowSnapshot, types: list[str], found: int
) -> None:
    """Each new fact gives one event. `found` counts new facts of a flow that has events already."""
    decision = decide.decide_flow(known, snapshot, NOW, rules=Rules())

    assert [event.type for event in decision.events] == types
    assert {event.subject for event in decision.events} <= {"flow/flow-1"}
    assert all(event.data["reference"] == "payee-17" for event in decision.events)
    assert decision.found == found


def test_deciding_again_about_the_same_snapshot_adds_nothing() -> None:
    """The new state prevents a second event for the same fact."""
    first = decide.decide_flow(known_flow(last_sequence=0), flow_says(*STEPS), NOW, rules=Rules())
    after = replace(known_flow(last_sequence=len(first.events)), progress=first.progress)

    second = decide.decide_flow(after, flow_says(*STEPS), NOW, rules=Rules())

    assert (second.progress, list(second.events)) == (first.progress, [])


def test_completed_steps_that_dots_leaves_out_are_named_and_kept() -> None:
    """An older snapshot that arrives late takes nothing back, and the decision names the missing steps."""
    decision = decide.decide_flow(known_flow("compliance"), flow_says("payout"), NOW, rules=Rules())

    assert decision.missing_again == ("compliance",)
    assert decision.progress.completed == ("compliance", "payout")


@pytest.mark.parametrize(
    ("age", "next_age"),
    [
        (timedelta(0), MINUTE),
        (2 * HOUR, DAY),
        (30 * DAY, None),
    ],
)
def test_an_open_flow_is_swept_by_its_age(age: timedelta, next_age: timedelta | None) -> None:
    """The sweeps follow the flow's age and end at 30 days."""
    decision = decide.decide_flow(known_flow(), flow_says("compliance"), NOW + age, rules=Rules())

    assert decision.next_refresh_at == (None if next_age is None else NOW + next_age)


def test_a_complete_flow_is_not_swept() -> None:
    """A complete flow cannot change."""
    assert decide.decide_flow(known_flow(), flow_says(*STEPS), NOW, rules=Rules()).next_refresh_at is None


PASSED_OVER: list[tuple[bool, tuple[str, ...], bool]] = [
    # The setting, the completed steps of compliance, manage-payouts and payout, and whether the flow completes.
    (False, ("compliance", "payout"), False),
    (True, ("compliance", "payout"), True),
    (True, ("manage-payouts",), False),
]


@pytest.mark.parametrize(("may_pass_over", "completed", "is_complete"), PASSED_OVER)
def test_a_setting_lets_a_flow_complete_without_passed_over_steps(
    *, may_pass_over: bool, completed: tuple[str, ...], is_complete: bool
) -> None:
    """The last step must be done, and the event names the steps that were passed over."""
    steps = ("compliance", "manage-payouts", "payout", "redirect")
    rules = Rules(may_pass_over=may_pass_over)
    said = flow_says(*completed, steps=steps)

    decision = decide.decide_flow(known_flow(steps=steps), said, NOW, rules=rules)

    reported = [event.data.get("passed_over") for event in decision.events if event.type == COMPLETED]
    assert decision.progress.is_complete is is_complete
    assert reported == ([["manage-payouts"]] if is_complete else [])


SUBMISSIONS: list[tuple[KnownFlow, FlowSnapshot, Submission | None]] = [
    (known_flow(), flow_says("compliance", user_id="user-1"), None),
    (
        known_flow(user_id="user-1"),
        flow_says("background-check"),
        Submission(user_id="user-1", is_check=True, is_id=False),
    ),
    (
        known_flow(user_id="user-1"),
        flow_says("id-verification"),
        Submission(user_id="user-1", is_check=False, is_id=True),
    ),
    (known_flow(), flow_says(*BOTH, user_id="user-1"), Submission(user_id="user-1", is_check=True, is_id=True)),
    # Without a user there is no submission. Earlier steps count once the user is known.
    (known_flow(), flow_says("background-check"), None),
    (
        known_flow("background-check"),
        flow_says("background-check", user_id="user-1"),
        Submission(user_id="user-1", is_check=True, is_id=False),
    ),
    # The user was made due for this step before.
    (known_flow("background-check", user_id="user-1"), flow_says("background-check", user_id="user-1"), None),
]


@pytest.mark.parametrize(("known", "snapshot", "submission"), SUBMISSIONS)
def test_a_user_is_due_after_a_submission(
    known: KnownFlow, snapshot: FlowSnapshot, submission: Submission | None
) -> None:
    """A completed check or ID step is a submission, whose outcome belongs to the user."""
    assert decide.decide_flow(known, snapshot, NOW, rules=Rules()).submission == submission


USER_EVENTS: list[tuple[UserState, UserSnapshot, list[str], set[str]]] = [
    # The known state, Dots' answer, the events, and the steps whose flows the events list.
    (UserState(), user_says(), [], set()),
    (UserState(), user_says("pending"), [], set()),
    (UserState(), user_says(id_verified=True), [ID_VERIFIED], {"id-verification"}),
    (UserState(was_id_verified=True), user_says(id_verified=True), [], set()),
    (UserState(), user_says("pass", flag=False), [CLEARED], {"background-check"}),
    (UserState(), user_says("pass", flag=True), [FLAGGED], {"background-check"}),
    (UserState(), user_says("consider"), [REVIEW], {"background-check"}),
    (UserState(), user_says("pass", flag=False, id_verified=True), [ID_VERIFIED, CLEARED], set(BOTH)),
    (UserState(verdict=Verdict.NEEDS_REVIEW, reviews_announced=("consider",)), user_says("consider"), [], set()),
    (UserState(verdict=Verdict.CLEARED, verdict_count=1), user_says("pass", flag=False), [], set()),
    (
        UserState(verdict=Verdict.CLEARED, verdict_count=1),
        user_says("failed", flag=True),
        [FLAGGED],
        {"background-check"},
    ),
    # A clearance ends if an older check has failed.
    (
        UserState(verdict=Verdict.CLEARED, verdict_count=1),
        replace(user_says("pass", flag=False), older_check_failed=True),
        [REVIEW],
        {"background-check"},
    ),
]


@pytest.mark.parametrize(("user_state", "snapshot", "types", "named"), USER_EVENTS)
def test_user_events_follow_from_what_is_new(
    user_state: UserState, snapshot: UserSnapshot, types: list[str], named: set[str]
) -> None:
    """An event lists the flows of its step, and only those flows are needed."""
    known = KnownUser(app="default", id="user-1", user_state=user_state)
    needed = decide.steps_to_name(known, snapshot)
    flows = {step: [FlowName(flow_id=f"flow-of-{step}", reference=None)] for step in needed}

    decision = decide.decide_user(known, snapshot, NOW, rules=Rules(), flows=flows)

    assert [event.type for event in decision.events] == types
    assert needed == named
    assert {flow["flow_id"] for event in decision.events for flow in event.data["flows"]} == {
        f"flow-of-{step}" for step in named
    }


USER_POLLS: list[tuple[UserState, bool, UserSnapshot, timedelta, timedelta | None]] = [
    # The known state, whether an ID is awaited, Dots' answer, the age of the submission, the age at the next refresh.
    (UserState(), False, user_says(), timedelta(0), None),
    # A pending check: 1 min, 5 min, 30 min, 2 h, every 6 h, to 7 days.
    (UserState(), False, user_says("pending"), timedelta(0), MINUTE),
    (UserState(), False, user_says("pending"), 2 * HOUR, 6 * HOUR),
    (UserState(), False, user_says("pending"), 7 * DAY, None),
    # A settled check is swept like an open flow for 30 days, because Dots may reverse it.
    (UserState(), False, user_says("pass", flag=False), 2 * HOUR, DAY),
    (UserState(), False, user_says("pass", flag=False), 29 * DAY, 30 * DAY),
    (UserState(), False, user_says("pass", flag=False), 30 * DAY, None),
    # A second check after a settled one is polled like the first.
    (UserState(verdict=Verdict.CLEARED), False, user_says("pending"), 2 * HOUR, 6 * HOUR),
    # A check that needs review is polled, then swept.
    (UserState(), False, user_says("consider"), 2 * HOUR, 6 * HOUR),
    (UserState(), False, user_says("consider"), 8 * DAY, 9 * DAY),
    # An ID is awaited until it is verified.
    (UserState(), True, user_says(), 6 * HOUR, 12 * HOUR),
    (UserState(), True, user_says(id_verified=True), 6 * HOUR, None),
]


@pytest.mark.parametrize(("user_state", "is_id_awaited", "snapshot", "age", "next_age"), USER_POLLS)
def test_a_user_is_refreshed_by_what_is_awaited(
    *, user_state: UserState, is_id_awaited: bool, snapshot: UserSnapshot, age: timedelta, next_age: timedelta | None
) -> None:
    """An awaited outcome is polled often, a settled one is swept, and each schedule ends."""
    known = KnownUser(
        app="default",
        id="user-1",
        user_state=user_state,
        check_submitted_at=None if is_id_awaited else NOW,
        id_submitted_at=NOW if is_id_awaited else None,
    )
    flows: dict[str, list[FlowName]] = {step: [] for step in decide.steps_to_name(known, snapshot)}

    decision = decide.decide_user(known, snapshot, NOW + age, rules=Rules(), flows=flows)

    assert decision.next_refresh_at == (None if next_age is None else NOW + next_age)
