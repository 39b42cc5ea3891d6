"""Applies merges of users: the remaining user gets the flows and submissions of the merged ones."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows import merge_rows, user_rows
from app.storage.subjects import Subject

# The limits of one refresh. The next one continues immediately.
MERGES_AT_ONCE = 20
FLOWS_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Merged:
    """The merged users, whose polls can end. `has_more`: a limit was reached."""

    left_behind: tuple[Subject, ...] = ()
    has_more: bool = False


async def apply_merges(connection: AsyncConnection, user: Subject, *, now: datetime) -> Merged:
    """Apply the merges that wait for this user. Locks flows before users, as all code does."""
    waiting = await merge_rows.lock_waiting(connection, user, limit=MERGES_AT_ONCE)
    if not waiting:
        return Merged()
    done = []
    flows_left = FLOWS_AT_ONCE
    for old_id in waiting:
        if old_id != user.id:  # A circle of merges can end in the user itself.
            flows_left -= await user_rows.move_flows(connection, user.app, old_id, user.id, limit=flows_left)
        if flows_left == 0:
            break
        done.append(old_id)
    if done:
        await user_rows.take_over(connection, user.app, done, user.id, now=now)
        await merge_rows.settle(connection, user.app, done, now=now)
    return Merged(
        left_behind=tuple(Subject(app=user.app, kind="user", id=old_id) for old_id in done if old_id != user.id),
        has_more=len(done) < len(waiting) or len(waiting) == MERGES_AT_ONCE,
    )
