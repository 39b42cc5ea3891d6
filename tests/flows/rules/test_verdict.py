"""How background checks are read."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dots.snapshots import UserSnapshot
from app.flows.rules import verdict
from app.flows.rules.verdict import UserState, Verdict
from tests.flows.rules.user_snapshots import says

NONE, PENDING, REVIEW = Verdict.NONE, Verdict.PENDING, Verdict.NEEDS_REVIEW
CLEARED, FLAGGED = Verdict.CLEARED, Verdict.FLAGGED

# Dots' status, Dots' flag, whether a check was handed in.
READINGS: list[tuple[str | None, bool | None, bool, Verdict]] = [
    # Nothing said, nothing handed in.
    (None, None, False, NONE),
    ("not_started", None, False, NONE),
    (None, False, False, NONE),
    # Handed in: something is to come, although Dots does not show it yet.
    (None, None, True, PENDING),
    ("not_started", None, True, PENDING),
    (None, False, True, PENDING),
    # Begun, by whatever way.
    ("started", None, False, PENDING),
    ("pending", None, True, PENDING),
    ("pending", False, True, PENDING),
    # Only a pass clears; a missing or false flag alone never does.
    ("pass", None, True, CLEARED),
    ("pass", False, True, CLEARED),
    ("pass", False, False, CLEARED),
    # Only a true flag flags, and it does so whatever the status says.
    ("pass", True, True, FLAGGED),
    ("failed", True, True, FLAGGED),
    ("consider", True, True, FLAGGED),
    (None, True, False, FLAGGED),
    ("not_started", True, False, FLAGGED),
    # Ended or halted without a finding: neither a verdict nor pending for ever.
    ("failed", None, True, REVIEW),
    ("failed", False, True, REVIEW),
    ("consider", None, True, REVIEW),
    ("consider", None, False, REVIEW),
    ("canceled", False, True, REVIEW),
    ("expired", False, True, REVIEW),
    ("information_mismatch", False, True, REVIEW),
    # A word that Dots may use one day is not guessed at.
    ("passed", False, True, PENDING),
    ("PASS", False, True, PENDING),
]

# Whether an older check failed, Dots' status, Dots' flag.
READINGS_BESIDE_AN_OLDER_CHECK: list[tuple[bool | None, str | None, bool | None, Verdict]] = [
    (None, "pass", False, CLEARED),
    (False, "pass", False, CLEARED),
    (True, "pass", False, REVIEW),
    (True, "pass", None, REVIEW),
    (True, "pass", True, FLAGGED),
    (True, "pending", None, PENDING),
    (True, "consider", None, REVIEW),
    # By itself it is no check that has begun.
    (True, None, None, NONE),
]

# What comes after what: known verdict and flag, what Dots says now, verdict then, verdict told to others.
CHANGES: list[tuple[Verdict, bool | None, UserSnapshot, Verdict, Verdict | None]] = [
    (NONE, None, says(None, None), NONE, None),
    (NONE, None, says("started", None), PENDING, None),
    (NONE, None, says("pass", False), CLEARED, CLEARED),
    (PENDING, None, says("pass", None), CLEARED, CLEARED),
    (PENDING, None, says("failed", True), FLAGGED, FLAGGED),
    (PENDING, None, says("failed", None), REVIEW, None),
    # What needs review may become anything.
    (REVIEW, None, says("pending", None), PENDING, None),
    (REVIEW, None, says("pass", False), CLEARED, CLEARED),
    (REVIEW, None, says("consider", True), FLAGGED, FLAGGED),
    # A settled verdict is told once, and stands while Dots says less.
    (CLEARED, False, says("pass", False), CLEARED, None),
    (CLEARED, False, says("pending", None), CLEARED, None),
    (CLEARED, False, says("expired", False), CLEARED, None),
    (FLAGGED, True, says("consider", None), FLAGGED, None),
    (FLAGGED, True, says("pass", False, True), FLAGGED, None),
    (FLAGGED, True, says("failed", True), FLAGGED, None),
    (FLAGGED, True, says(None, None), FLAGGED, None),
    (FLAGGED, True, says("pass", None), FLAGGED, None),
    (FLAGGED, True, says("failed", False), FLAGGED, None),
    # Only the opposite one takes its place.
    (CLEARED, False, says("consider", True), FLAGGED, FLAGGED),
    (CLEARED, None, says(None, True), FLAGGED, FLAGGED),
    (FLAGGED, True, says("pass", False), CLEARED, CLEARED),
]

STATUSES = st.none() | st.sampled_from(
    ["not_started", "started", "pending", "pass", "consider", "expired", "failed", "new_word"]
)
FLAGS = st.none() | st.booleans()


def test_only_two_verdicts_are_settled() -> None:
    """A check has ended when it was cleared or flagged."""
    assert [each for each in Verdict if each.is_settled] == [CLEARED, FLAGGED]


@pytest.mark.parametrize(("status", "flag", "is_submitted", "expected"), READINGS, ids=range(len(READINGS)))
def test_reading(status: str | None, flag: bool | None, is_submitted: bool, expected: Verdict) -> None:  # noqa: FBT001  # columns of the table
    """Absent is not false, and nothing is guessed."""
    assert verdict.read(status, has_criminal_activity=flag, is_submitted=is_submitted) is expected


@pytest.mark.parametrize(("older", "status", "flag", "expected"), READINGS_BESIDE_AN_OLDER_CHECK)
def test_a_pass_beside_an_older_check_that_failed_clears_nobody(
    *, older: bool | None, status: str | None, flag: bool | None, expected: Verdict
) -> None:
    """Both were parts of one check; that Dots does not speak of the older one is no failure."""
    found = verdict.read(status, has_criminal_activity=flag, older_check_failed=older, is_submitted=False)

    assert found is expected


@pytest.mark.parametrize(("known", "known_flag", "said", "after", "reported"), CHANGES, ids=range(len(CHANGES)))
def test_change(
    known: Verdict, *, known_flag: bool | None, said: UserSnapshot, after: Verdict, reported: Verdict | None
) -> None:
    """A verdict is told when it settles and when it turns, and not otherwise."""
    user_state = UserState(verdict=known, has_criminal_activity=known_flag, verdict_count=int(known.is_settled))

    change = verdict.merge(user_state, said)

    assert (change.user_state.verdict, change.reported) == (after, reported)
    assert change.previous == (known if reported and known.is_settled else None)
    assert change.user_state.verdict_count == user_state.verdict_count + (reported is not None)


def reported(*answers: UserSnapshot) -> list[tuple[Verdict, str | None, Verdict | None, Verdict | None]]:
    """After each answer the verdict, the status to review, the verdict reported and the one that falls."""
    user_state = UserState(is_check_submitted=True)
    found = []
    for answer in answers:
        change = verdict.merge(user_state, answer)
        user_state = change.user_state
        found.append((user_state.verdict, change.to_review, change.reported, change.previous))
    return found


def test_a_review_is_asked_for_once_for_each_status() -> None:
    """However often Dots says it, and whatever comes between."""
    said = ("consider", "consider", "pending", "consider", "expired", None, "consider")

    found = reported(*(says(status, None) for status in said))

    assert [(each, to_review) for each, to_review, _, _ in found] == [
        (REVIEW, "consider"),
        (REVIEW, None),
        (PENDING, None),
        (REVIEW, None),
        (REVIEW, "expired"),
        (REVIEW, None),
        (REVIEW, None),
    ]


def test_an_older_check_that_failed_is_remembered_until_dots_says_that_it_passed() -> None:
    """Absent is not false: a snapshot without it clears nobody."""
    found = reported(says("pending", None, True), says("pass", False), says("pass", False), says("pass", False, False))

    assert found == [
        (PENDING, None, None, None),
        (REVIEW, "pass", None, None),
        (REVIEW, None, None, None),
        (CLEARED, None, CLEARED, None),
    ]


def test_a_clearance_falls_when_an_older_check_turns_out_to_have_failed() -> None:
    """It should never have been given; whoever was told of it has to know."""
    found = reported(says("pass", False), says("pass", False, True), says("pass", False, False))

    assert found == [
        (CLEARED, None, CLEARED, None),
        (REVIEW, "pass", None, CLEARED),
        (CLEARED, None, CLEARED, None),
    ]


@given(answers=st.lists(st.builds(says, STATUSES, FLAGS, FLAGS), max_size=10))
@settings(deadline=None, derandomize=True)  # a busy machine is no failure
def test_verdicts_are_never_guessed(answers: list[UserSnapshot]) -> None:
    """Under any sequence of answers: flagged only after a true flag, and what is settled only ever turns."""
    user_state = UserState()
    verdicts = [user_state.verdict]
    reported: list[Verdict] = []
    reviewed: list[str] = []
    for number, each in enumerate(answers, start=1):
        change = verdict.merge(user_state, each)
        user_state = change.user_state
        verdicts.append(user_state.verdict)
        if change.reported:
            reported.append(change.reported)
        if change.to_review:
            reviewed.append(change.to_review)
        flags = [earlier.has_criminal_activity for earlier in answers[:number]]
        statuses = [earlier.check_status for earlier in answers[:number]]
        assert user_state.verdict is not FLAGGED or True in flags
        assert user_state.verdict is not CLEARED or "pass" in statuses
        assert not (user_state.verdict is CLEARED and each.has_criminal_activity is True)
        assert not (change.reported is CLEARED and user_state.older_check_failed)
        assert not (change.reported and change.to_review)

    assert all(
        after.is_settled or (before is CLEARED and after is REVIEW)
        for before, after in itertools.pairwise(verdicts)
        if before.is_settled
    )
    assert len(set(reviewed)) == len(reviewed)
    assert user_state.reviews_announced == tuple(reviewed)
    assert user_state.verdict_count == len(reported)
    assert not user_state.verdict.is_settled or reported[-1] is user_state.verdict
