"""Who a user is today, after Dots has made one user of two, perhaps several times over."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Merge:
    """Dots has said that `old_user_id` is `new_user_id` now; `received_at` is when we last heard it."""

    app: str
    old_user_id: str
    new_user_id: str
    received_at: datetime


def survivor(app: str, user_id: str, merges: Iterable[Merge]) -> str:
    """The user that this one is by now: the end of its chain. In a circle, Dots' latest word counts."""
    onward = {merge.old_user_id: merge for merge in merges if merge.app == app}
    walked: list[Merge] = []
    while (step := onward.get(user_id)) is not None:
        if step in walked:
            circle = walked[walked.index(step) :]
            return max(circle, key=lambda merge: (merge.received_at, merge.old_user_id)).new_user_id
        walked.append(step)
        user_id = step.new_user_id
    return user_id
