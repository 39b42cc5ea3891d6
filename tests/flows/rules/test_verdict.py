"""The verdicts on background checks."""

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

# Dots' status, Dots' flag, whether a check was submitted.
READINGS: list[tuple[str | None, bool | None, bool, Verdict]] = [
    # No check.
    (None, None, False, NONE),
    ("not_started", None, False, NONE),
    (None, False, False, NONE),
    # Submitted: Dots does not show it yet.
    (None, None, True, PENDING),
    ("not_started", None, True, PENDING),
    (None, False, True, PENDING),
    # Begun.
    ("started", None, False, PENDING),
    ("pending", None, True, PENDING),
    ("pending", False, True, PENDING),
    # Only a pass clears. A missing or false flag alone does not.
    ("pass", None, True, CLEARED),
    ("pass", False, True, CLEARED),
    ("pass", False, False, CLEARED),
    # Only a true flag flags, with any status.
    ("pass", True, True, FLAGGED),
    ("failed", True, True, FLAGGED),
    ("consider", True, True, FLAGGED),
    (None, True, False, FLAGGED),
    ("not_started", True, False, FLAGGED),
    # Ended or halted without a finding.
    ("failed", None, True, REVIEW),
    ("failed", False, True, REVIEW),
    ("consider", None, True, REVIEW),
    ("consider", None, False, REVIEW),
    ("canceled", False, True, REVIEW),
    ("expired", False, True, REVIEW),
    ("information_mismatch", False, True, REVIEW),
    # The meaning of an unknown word is not guessed.
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
    # An older check alone does not begin a check.
    (True, None, None, NONE),
]

# The known verdict and flag, Dots' answer, the verdict afterwards, the reported verdict.
CHANGES: list[tuple[Verdict, bool | None, UserSnapshot, Verdict, Verdict | None]] = [
    (NONE, None, says(None, None), NONE, None),
    (NONE, None, says("started", None), PENDING, None),
    (NONE, None, says("pass", False), CLEARED, CLEARED),
    (PENDING, None, says("pass", None), CLEARED, CLEARED),
    (PENDING, None, says("failed", True), FLAGGED, FLAGGED),
    (PENDING, None, says("failed", None), REVIEW, None),
    # A check that needs review may become anything.
    (REVIEW, None, says("pending", None), PENDING, None),
    (REVIEW, None, says("pass", False), CLEARED, CLEARED),
    (REVIEW, None, says("consider", True), FLAGGED, FLAGGED),
    # A settled verdict is reported once, and stays while Dots says less.
    (CLEARED, False, says("pass", False), CLEARED, None),
    (CLEARED, False, says("pending", None), CLEARED, None),
    (CLEARED, False, says("expired", False), CLEARED, None),
    (FLAGGED, True, says("consider", None), FLAGGED, None),
    (FLAGGED, True, says("pass", False, True), FLAGGED, None),
    (FLAGGED, True, says("failed", True), FLAGGED, None),
    (FLAGGED, True, says(None, None), FLAGGED, None),
    (FLAGGED, True, says("pass", None), FLAGGED, None),
    (FLAGGED, True, says("failed", False), FLAGGED, None),
    # Only the opposite verdict replaces it.
    (CLEARED, False, says("consider", True), FLAGGED, FLAGGED),
    (CLEARED, None, says(None, True), FLAGGED, FLAGGED),
    (FLAGGED, True, says("pass", False), CLEARED, CLEARED),
]

STATUSES = st.none() | st.sampled_from(
    ["not_started", "started", "pending", "pass", "consider", "expired", "failed", "new_word"]
)
FLAGS = st.none() | st.booleans()


def test_only_two_verdicts_are_settled() -> None:
    """A check has ended if it is cleared or flagged."""
    assert [each for each in Verdict if each.is_settled] == [CLEARED, FLAGGED]


@pytest.mark.parametrize(("status", "flag", "is_submitted", "expected"), READINGS, ids=range(len(READINGS)))
def test_reading(status: str | None, flag: bool | None, is_submitted: bool, expected: Verdict) -> None:  # noqa: FBT001  # Columns of the table.
    """The verdict follows from the status, the flag and the submission."""
    assert verdict.read(status, has_criminal_activity=flag, is_submitted=is_submitted) is expected


@pytest.mark.parametrize(("older", "status", "flag", "expected"), READINGS_BESIDE_AN_OLDER_CHECK)
def test_a_pass_beside_an_older_check_that_failed_needs_review(
    *, older: bool | None, status: str | None, flag: bool | None, expected: Verdict
) -> None:
    """Both were parts of one check. An absent older check does not count as failed."""
    found = verdict.read(status, has_criminal_activity=flag, older_check_failed=older, is_submitted=False)

    assert found is expected


@pytest.mark.parametrize(("known", "known_flag", "said", "after", "reported"), CHANGES, ids=range(len(CHANGES)))
def test_change(
    known: Verdict, *, known_flag: bool | None, said: UserSnapshot, after: Verdict, reported: Verdict | None
) -> None:
    """A verdict is reported when it settles and when it is reversed."""
    user_state = UserState(verdict=known, has_criminal_activity=known_flag, verdict_count=int(known.is_settled))

    change = verdict.merge(user_state, said)

    assert (change.user_state.verdict, change.reported) == (after, reported)
    assert change.previous == (known if reported and known.is_settled else None)
    assert change.user_state.verdict_count == user_state.verdict_count + (reported is not None)


def reported(*answers: UserSnapshot) -> list[tuple[Verdict, str | None, Verdict | None, Verdict | None]]:
    """Return for each answer the verdict, the status to review, the reported verdict and the replaced one."""
    user_state = UserState(is_check_submitted=True)
    found = []
    for answer in answers:
        change = verdict.merge(user_state, answer)
        user_state = change.user_state
        found.append((user_state.verdict, change.to_review, change.reported, change.previous))
    return found


def test_a_review_is_announced_once_for_each_status() -> None:
    """A repeated status announces no second review, also after other statuses."""
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


def test_an_older_check_that_failed_counts_until_dots_says_that_it_passed() -> None:
    """A snapshot without the older check does not clear the user."""
    found = reported(says("pending", None, True), says("pass", False), says("pass", False), says("pass", False, False))

    assert found == [
        (PENDING, None, None, None),
        (REVIEW, "pass", None, None),
        (REVIEW, None, None, None),
        (CLEARED, None, CLEARED, None),
    ]


def test_a_clearance_ends_if_an_older_check_has_failed() -> None:
    """The clearance was wrong, so the review is reported with it as the previous verdict."""
    found = reported(says("pass", False), says("pass", False, True), says("pass", False, False))

    assert found == [
        (CLEARED, None, CLEARED, None),
        (REVIEW, "pass", None, CLEARED),
        (CLEARED, None, CLEARED, None),
    ]


@given(answers=st.lists(st.builds(says, STATUSES, FLAGS, FLAGS), max_size=10))
@settings(deadline=None, derandomize=True)  # A busy machine must not fail the test.
def test_verdicts_are_never_guessed(answers: list[UserSnapshot]) -> None:
    """After any answers, a user is flagged only after a true flag and cleared only after a pass."""
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
