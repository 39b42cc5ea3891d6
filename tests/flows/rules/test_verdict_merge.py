"""Merging a snapshot of a user into the known state."""

from dataclasses import replace

import pytest

from app.dots.snapshots import UserSnapshot
from app.flows.rules import verdict
from app.flows.rules.verdict import UserState, Verdict
from tests.flows.rules.user_snapshots import says, snapshot

NONE, PENDING, REVIEW = Verdict.NONE, Verdict.PENDING, Verdict.NEEDS_REVIEW
CLEARED, FLAGGED = Verdict.CLEARED, Verdict.FLAGGED


def test_fields_that_dots_leaves_out_are_kept() -> None:
    """Null changes nothing."""
    known = UserState(
        status="verified",
        id_verified=True,
        check_status="pass",
        has_criminal_activity=False,
        older_check_failed=False,
        verdict=CLEARED,
        is_check_submitted=True,
        was_id_verified=True,
        verdict_count=1,
        reviews_announced=("consider",),
    )

    change = verdict.merge(known, snapshot())

    assert change.user_state == known
    assert not change.is_newly_id_verified
    assert change.reported is None


def test_fields_that_dots_gives_replace_the_known_ones() -> None:
    """A new value replaces the opposite one too."""
    known = UserState(
        status="in_review",
        id_verified=True,
        check_status="pending",
        has_criminal_activity=True,
        older_check_failed=True,
        was_id_verified=True,
        is_check_submitted=True,
    )

    change = verdict.merge(
        known,
        snapshot(
            status="verified",
            id_verified=False,
            check_status="pass",
            has_criminal_activity=False,
            older_check_failed=False,
        ),
    )

    assert change.user_state == replace(
        known,
        status="verified",
        id_verified=False,
        check_status="pass",
        has_criminal_activity=False,
        older_check_failed=False,
        verdict=CLEARED,
        verdict_count=1,
    )


@pytest.mark.parametrize(
    ("known", "said", "is_under_way"),
    [
        (CLEARED, says("pending", None), True),
        (CLEARED, says("consider", None), True),
        (NONE, says("started", False), True),
        (PENDING, says("pass", None), False),
        (PENDING, says("pending", True), False),
        (PENDING, says(None, None), False),
        (PENDING, says("not_started", None), False),
    ],
)
def test_a_check_is_under_way_when_dots_says_so_now(*, known: Verdict, said: UserSnapshot, is_under_way: bool) -> None:
    """Only the snapshot counts, because this may be another check than the settled one."""
    user_state = UserState(verdict=known, check_status="pending", is_check_submitted=True)

    assert verdict.merge(user_state, said).is_under_way is is_under_way


def test_a_submitted_check_is_pending_before_dots_shows_it() -> None:
    """The flow reports the submission first."""
    change = verdict.merge(UserState(is_check_submitted=True), snapshot())

    assert change.user_state.verdict is PENDING


def test_verified_identity_is_reported_once() -> None:
    """A verification that is withdrawn and given again is not reported again."""
    user_state = UserState()
    reported: list[bool] = []
    for id_verified in (None, False, True, None, False, True):
        change = verdict.merge(user_state, snapshot(id_verified=id_verified))
        reported.append(change.is_newly_id_verified)
        user_state = change.user_state

    assert reported == [False, False, True, False, False, False]
