"""Stored users: id, status, id_verified and the background check. Nothing else about a person is stored."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows.rules.decide import KnownUser
from app.flows.rules.verdict import UserState, Verdict
from app.flows.tables import flows, users

# Verdicts that end when a user is merged into another one.
_AWAITED = [verdict.value for verdict in Verdict if verdict.is_awaited]


@dataclass(frozen=True, kw_only=True)
class UserRecord(KnownUser):
    """A stored user. `merged_into` is the user into which this one was merged, or None."""

    refreshed_at: datetime | None
    last_sequence: int
    merged_into: str | None = None


async def find(connection: AsyncConnection, user_id: str) -> UserRecord | None:
    """Return the user with this id of Dots in any app, or None."""
    row = (await connection.execute(select(users).where(users.c.id == user_id).limit(1))).one_or_none()
    return None if row is None else _record(row)


async def note_submission(
    connection: AsyncConnection, app: str, user_id: str, *, now: datetime, is_check: bool, is_id: bool
) -> None:
    """Note that a background check or an ID was submitted, perhaps again. Adds an unknown user."""
    statement = insert(users).values(
        app=app,
        id=user_id,
        first_seen_at=now,
        verdict=Verdict.PENDING if is_check else Verdict.NONE,
        check_submitted_at=now if is_check else None,
        id_submitted_at=now if is_id else None,
    )
    fresh = statement.excluded
    verdict = case((users.c.verdict == Verdict.NONE, fresh.verdict), else_=users.c.verdict)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["app", "id"],
            set_={
                "verdict": verdict,
                "check_submitted_at": func.coalesce(fresh.check_submitted_at, users.c.check_submitted_at),
                "id_submitted_at": func.coalesce(fresh.id_submitted_at, users.c.id_submitted_at),
            },
        )
    )


async def lock(connection: AsyncConnection, app: str, user_id: str, *, now: datetime) -> UserRecord:
    """Return the user, locked until the transaction ends. Adds an unknown one."""
    await _add(connection, app, user_id, now=now)
    return _record((await connection.execute(_of(app, user_id).with_for_update())).one())


async def move_flows(connection: AsyncConnection, app: str, old_id: str, new_id: str, *, limit: int) -> int:
    """Give flows of a user to the one it was merged into, oldest first, at most `limit`. Returns how many."""
    first = (
        select(flows.c.ref)
        .where(flows.c.app == app, flows.c.user_id == old_id)
        .order_by(flows.c.created_at, flows.c.ref)
        .limit(limit)
        .with_for_update()
    )
    moved = await connection.execute(update(flows).where(flows.c.ref.in_(first)).values(user_id=new_id))
    return moved.rowcount


async def take_over(
    connection: AsyncConnection, app: str, old_ids: Collection[str], new_id: str, *, now: datetime
) -> None:
    """Mark users as merged into another one, which takes over their submissions and an older check that failed.

    Does not move flows.
    """
    await _add(connection, app, new_id, now=now)
    both = select(users).where(users.c.app == app, users.c.id.in_([*old_ids, new_id]))
    # Locks in order, so that concurrent merges cannot deadlock.
    found = (await connection.execute(both.order_by(users.c.id).with_for_update())).all()
    olds = [row for row in found if row.id != new_id]
    await connection.execute(
        update(users)
        .where(users.c.app == app, users.c.id.in_([row.id for row in olds]))
        .values(
            merged_into=new_id,
            verdict=case((users.c.verdict.in_(_AWAITED), Verdict.NONE.value), else_=users.c.verdict),
            check_submitted_at=None,
            id_submitted_at=None,
            refreshed_at=now,
        )
    )
    new = (users.c.app == app) & (users.c.id == new_id)
    await connection.execute(update(users).where(new, users.c.merged_into.is_not(None)).values(merged_into=None))
    if any(row.older_check_failed for row in olds):
        await connection.execute(update(users).where(new).values(older_check_failed=True))
    is_check = any(row.check_submitted_at for row in olds)
    is_id = any(row.id_submitted_at for row in olds)
    if is_check or is_id:
        await note_submission(connection, app, new_id, now=now, is_check=is_check, is_id=is_id)


async def save(
    connection: AsyncConnection, known: UserRecord, user_state: UserState, *, now: datetime, events_added: int
) -> None:
    """Save the new state of a locked user."""
    await connection.execute(
        update(users)
        .where(users.c.app == known.app, users.c.id == known.id)
        .values(
            status=user_state.status,
            id_verified=user_state.id_verified,
            was_id_verified=user_state.was_id_verified,
            check_status=user_state.check_status,
            has_criminal_activity=user_state.has_criminal_activity,
            older_check_failed=user_state.older_check_failed,
            verdict=user_state.verdict,
            verdict_count=user_state.verdict_count,
            reviews_announced=list(user_state.reviews_announced),
            check_submitted_at=known.check_submitted_at or (now if user_state.verdict.is_awaited else None),
            refreshed_at=now,
            last_sequence=known.last_sequence + events_added,
        )
    )


async def _add(connection: AsyncConnection, app: str, user_id: str, *, now: datetime) -> None:
    await connection.execute(
        insert(users)
        .values(app=app, id=user_id, first_seen_at=now)
        .on_conflict_do_nothing(index_elements=["app", "id"])
    )


def _of(app: str, user_id: str) -> Select[Any]:
    return select(users).where(users.c.app == app, users.c.id == user_id)


def _record(row: object) -> UserRecord:
    found = row._mapping  # type: ignore[attr-defined]  # noqa: SLF001  # SQLAlchemy's documented name
    return UserRecord(
        app=found["app"],
        id=found["id"],
        user_state=UserState(
            status=found["status"],
            id_verified=found["id_verified"],
            check_status=found["check_status"],
            has_criminal_activity=found["has_criminal_activity"],
            older_check_failed=found["older_check_failed"],
            verdict=Verdict(found["verdict"]),
            is_check_submitted=found["check_submitted_at"] is not None,
            was_id_verified=found["was_id_verified"],
            verdict_count=found["verdict_count"],
            reviews_announced=tuple(found["reviews_announced"]),
        ),
        check_submitted_at=found["check_submitted_at"],
        id_submitted_at=found["id_submitted_at"],
        refreshed_at=found["refreshed_at"],
        last_sequence=found["last_sequence"],
        merged_into=found["merged_into"],
    )
