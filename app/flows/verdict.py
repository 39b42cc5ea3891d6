"""How a user's background check is read: a verdict is never guessed from what Dots left out."""

from dataclasses import dataclass, replace
from enum import StrEnum

from app.flows.snapshots import UserSnapshot

NOT_BEGUN = (None, "not_started")


class Verdict(StrEnum):
    """What is known of a background check."""

    NONE = "none"
    PENDING = "pending"
    CLEARED = "cleared"
    FLAGGED = "flagged"

    @property
    def is_settled(self) -> bool:
        """Whether the check has ended one way or the other."""
        return self in (Verdict.CLEARED, Verdict.FLAGGED)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is known of a user; `settlements` counts the verdicts reported so far, reversals included."""

    status: str | None = None
    id_verified: bool | None = None
    check_status: str | None = None
    has_criminal_activity: bool | None = None
    verdict: Verdict = Verdict.NONE
    is_check_submitted: bool = False
    was_id_verified: bool = False
    settlements: int = 0


@dataclass(frozen=True, kw_only=True)
class Change:
    """What one snapshot changed; `reported` is the verdict to tell others, `previous` the one told before.

    `is_under_way`: Dots says that a check has begun and not ended, which may be another one than the one settled.
    """

    standing: Standing
    is_under_way: bool
    is_newly_id_verified: bool
    reported: Verdict | None
    previous: Verdict | None


def read(check_status: str | None, *, has_criminal_activity: bool | None, is_submitted: bool) -> Verdict:
    """The verdict Dots' fields amount to. Absent is not false: only a true flag flags, only a pass clears."""
    if has_criminal_activity is True:
        return Verdict.FLAGGED
    if check_status == "pass":
        return Verdict.CLEARED
    if check_status in NOT_BEGUN and not is_submitted:
        return Verdict.NONE
    return Verdict.PENDING


def merge(known: Standing, snapshot: UserSnapshot) -> Change:
    """Merge a snapshot of a user. A settled verdict stands until the opposite one comes."""
    check_status = snapshot.check_status or known.check_status
    # A flag that Dots leaves out is no news; one that it sets or clears is.
    said = snapshot.has_criminal_activity
    flag = known.has_criminal_activity if said is None else said
    read_now = read(check_status, has_criminal_activity=flag, is_submitted=known.is_check_submitted)
    verdict = known.verdict if known.verdict.is_settled and not read_now.is_settled else read_now
    is_reported = verdict.is_settled and verdict != known.verdict
    standing = replace(
        known,
        status=snapshot.status or known.status,
        id_verified=known.id_verified if snapshot.id_verified is None else snapshot.id_verified,
        check_status=check_status,
        has_criminal_activity=flag,
        verdict=verdict,
        was_id_verified=known.was_id_verified or snapshot.id_verified is True,
        settlements=known.settlements + is_reported,
    )
    said_now = read(snapshot.check_status, has_criminal_activity=said, is_submitted=False)
    return Change(
        standing=standing,
        is_under_way=said_now is Verdict.PENDING,
        is_newly_id_verified=standing.was_id_verified and not known.was_id_verified,
        reported=verdict if is_reported else None,
        previous=known.verdict if is_reported and known.verdict.is_settled else None,
    )
