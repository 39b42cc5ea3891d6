"""Reads the verdict on a user's background check. A field that Dots leaves out decides nothing."""

from dataclasses import dataclass, replace
from enum import StrEnum

from app.dots.snapshots import UserSnapshot

NOT_BEGUN = (None, "not_started")
# Statuses of a check that has ended or halted without a finding. A person must look at it.
# Source: docs.dots.dev, API reference of users, read July 2026.
WITHOUT_A_FINDING = frozenset({"consider", "information_mismatch", "canceled", "expired", "failed"})


class Verdict(StrEnum):
    """The verdict on a background check."""

    NONE = "none"
    PENDING = "pending"
    NEEDS_REVIEW = "needs_review"
    CLEARED = "cleared"
    FLAGGED = "flagged"

    @property
    def is_settled(self) -> bool:
        """Whether the check has ended as cleared or flagged."""
        return self in (Verdict.CLEARED, Verdict.FLAGGED)

    @property
    def is_awaited(self) -> bool:
        """Whether a check has begun and not settled."""
        return self in (Verdict.PENDING, Verdict.NEEDS_REVIEW)


@dataclass(frozen=True, kw_only=True)
class UserState:
    """The state of a user. `verdict_count` counts the verdicts reported so far, reversals included.

    `reviews_announced`: the statuses of Dots for which a review was announced, in that order.
    """

    status: str | None = None
    id_verified: bool | None = None
    check_status: str | None = None
    has_criminal_activity: bool | None = None
    older_check_failed: bool | None = None
    verdict: Verdict = Verdict.NONE
    is_check_submitted: bool = False
    was_id_verified: bool = False
    verdict_count: int = 0
    reviews_announced: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a snapshot changed. `reported` is the settled verdict to report, `previous` the one that it replaces.

    `to_review`: the status of Dots for which to announce a review. `is_under_way`: Dots says that a check has begun and
    not settled. That may be a second check after a settled one.
    """

    user_state: UserState
    is_under_way: bool
    is_newly_id_verified: bool
    reported: Verdict | None
    to_review: str | None
    previous: Verdict | None


def read(
    check_status: str | None,
    *,
    has_criminal_activity: bool | None,
    is_submitted: bool,
    older_check_failed: bool | None = None,
) -> Verdict:
    """Return the verdict from Dots' fields. Only a true flag flags, and only a pass clears.

    A pass beside an older check that failed needs review, because both were parts of one check.
    """
    if has_criminal_activity is True:
        return Verdict.FLAGGED
    if check_status == "pass":
        return Verdict.NEEDS_REVIEW if older_check_failed else Verdict.CLEARED
    if check_status in WITHOUT_A_FINDING:
        return Verdict.NEEDS_REVIEW
    if check_status in NOT_BEGUN and not is_submitted:
        return Verdict.NONE
    return Verdict.PENDING


def merge(known: UserState, snapshot: UserSnapshot) -> Change:
    """Merge a snapshot of a user. A settled verdict stays until the opposite one comes.

    A clearance also ends if Dots reports an older check that failed.
    """
    check_status = snapshot.check_status or known.check_status
    # A field that Dots leaves out changes nothing.
    new_flag = snapshot.has_criminal_activity
    flag = known.has_criminal_activity if new_flag is None else new_flag
    older = known.older_check_failed if snapshot.older_check_failed is None else snapshot.older_check_failed
    read_now = read(
        check_status, has_criminal_activity=flag, older_check_failed=older, is_submitted=known.is_check_submitted
    )
    was_cleared_wrongly = known.verdict is Verdict.CLEARED and read_now is Verdict.NEEDS_REVIEW and older is True
    is_kept = known.verdict.is_settled and not read_now.is_settled and not was_cleared_wrongly
    verdict = known.verdict if is_kept else read_now
    is_reported = verdict.is_settled and verdict != known.verdict
    is_for_review = verdict is Verdict.NEEDS_REVIEW and check_status not in known.reviews_announced
    to_review = check_status if is_for_review else None
    user_state = replace(
        known,
        status=snapshot.status or known.status,
        id_verified=known.id_verified if snapshot.id_verified is None else snapshot.id_verified,
        check_status=check_status,
        has_criminal_activity=flag,
        older_check_failed=older,
        verdict=verdict,
        was_id_verified=known.was_id_verified or snapshot.id_verified is True,
        verdict_count=known.verdict_count + is_reported,
        reviews_announced=known.reviews_announced if to_review is None else (*known.reviews_announced, to_review),
    )
    snapshot_alone = read(snapshot.check_status, has_criminal_activity=new_flag, is_submitted=False)
    return Change(
        user_state=user_state,
        is_under_way=snapshot_alone.is_awaited,
        is_newly_id_verified=user_state.was_id_verified and not known.was_id_verified,
        reported=verdict if is_reported else None,
        to_review=to_review,
        previous=known.verdict if (is_reported or to_review) and known.verdict.is_settled else None,
    )
