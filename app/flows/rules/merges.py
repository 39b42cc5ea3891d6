"""Follows merges of users: Dots may merge a user into another one, and that one into a third."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Merge:
    """Dots has merged `old_user_id` into `new_user_id`. `received_at` is the time of the latest webhook about it."""

    app: str
    old_user_id: str
    new_user_id: str
    received_at: datetime


def survivor(app: str, user_id: str, merges: Iterable[Merge]) -> str:
    """Return the user at the end of this one's chain of merges. In a circle, the latest merge counts."""
    onward = {merge.old_user_id: merge for merge in merges if merge.app == app}
    walked: list[Merge] = []
    while (step := onward.get(user_id)) is not None:
        if step in walked:
            circle = walked[walked.index(step) :]
            return max(circle, key=lambda merge: (merge.received_at, merge.old_user_id)).new_user_id
        walked.append(step)
        user_id = step.new_user_id
    return user_id
