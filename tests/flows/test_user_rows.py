"""The little that is kept of a user."""

import asyncio
import dataclasses

from sqlalchemy.ext.asyncio import AsyncEngine

from app.flows import user_rows
from app.flows.rules.verdict import UserState, Verdict
from app.flows.user_rows import UserRecord
from app.storage import database
from tests.dots.fake_dots import NOW
from tests.flows.intents import later
from tests.storage import stored
from tests.storage.locks import until_waiting

STRANGER = UserRecord(
    app="default",
    id="user-1",
    user_state=UserState(),
    check_submitted_at=None,
    id_submitted_at=None,
    refreshed_at=None,
    last_sequence=0,
)


async def submit(engine: AsyncEngine, *, minutes: int = 0, is_check: bool = False, is_id: bool = False) -> None:
    """Note that something was handed in, so many minutes after the beginning."""
    async with database.transaction(engine) as connection:
        await user_rows.note_submission(
            connection, "default", "user-1", now=later(minutes), is_check=is_check, is_id=is_id
        )


async def lock(engine: AsyncEngine, *, app: str = "default") -> UserRecord:
    """The user, locked for a moment."""
    async with database.transaction(engine) as connection:
        return await user_rows.lock(connection, app, "user-1", now=NOW)


async def save(engine: AsyncEngine, user_state: UserState, *, minutes: int = 0, events_added: int = 0) -> None:
    """Save what is known of the user now."""
    async with database.transaction(engine) as connection:
        known = await user_rows.lock(connection, "default", "user-1", now=NOW)
        await user_rows.save(connection, known, user_state, now=later(minutes), events_added=events_added)


async def find(engine: AsyncEngine, user_id: str = "user-1") -> UserRecord | None:
    """The user."""
    async with database.transaction(engine) as connection:
        return await user_rows.find(connection, user_id)


async def test_unknown_user_is_none(engine: AsyncEngine) -> None:
    """Asking about somebody adds nobody."""
    assert await find(engine) is None
    assert await stored.count(engine, "users") == 0


async def test_locking_adds_an_unknown_user(engine: AsyncEngine) -> None:
    """A user whom a webhook names first begins with nothing known; null is not false."""
    locked = await lock(engine)

    assert locked == STRANGER
    assert await find(engine) == STRANGER
    assert await stored.row(engine, "SELECT first_seen_at, id_verified, has_criminal_activity FROM users") == {
        "first_seen_at": NOW,
        "id_verified": None,
        "has_criminal_activity": None,
    }


async def test_users_of_two_apps_are_two(engine: AsyncEngine) -> None:
    """Even with one id."""
    await save(engine, UserState(status="verified"))

    other = await lock(engine, app="eu")

    assert other == dataclasses.replace(STRANGER, app="eu")


async def test_user_is_read_as_it_was_saved(engine: AsyncEngine) -> None:
    """Every field of the standing goes there and back."""
    user_state = UserState(
        status="verified",
        id_verified=False,
        check_status="pass",
        has_criminal_activity=False,
        older_check_failed=False,
        verdict=Verdict.CLEARED,
        is_check_submitted=False,
        was_id_verified=True,
        verdict_count=3,
        reviews_announced=("expired", "consider"),
    )

    await save(engine, user_state, minutes=1, events_added=2)
    await save(engine, user_state, minutes=2, events_added=1)

    assert await find(engine) == dataclasses.replace(
        STRANGER, user_state=user_state, refreshed_at=later(2), last_sequence=3
    )


async def test_submitted_check_is_pending(engine: AsyncEngine) -> None:
    """From the moment it was handed in, whether Dots shows it yet or not."""
    await submit(engine, minutes=1, is_check=True)

    assert await find(engine) == dataclasses.replace(
        STRANGER,
        user_state=UserState(verdict=Verdict.PENDING, is_check_submitted=True),
        check_submitted_at=later(1),
    )


async def test_submitted_id_is_no_check(engine: AsyncEngine) -> None:
    """An ID that was handed in is noted with its own time and leaves the verdict alone."""
    await submit(engine, minutes=1, is_id=True)

    assert await find(engine) == dataclasses.replace(STRANGER, id_submitted_at=later(1))


async def test_submissions_do_not_forget_each_other(engine: AsyncEngine) -> None:
    """Each keeps its own latest time."""
    await submit(engine, minutes=1, is_check=True, is_id=True)
    await submit(engine, minutes=2, is_id=True)
    await submit(engine, minutes=3, is_check=True)

    found = await find(engine)

    assert found
    assert (found.check_submitted_at, found.id_submitted_at) == (later(3), later(2))


async def test_settled_verdict_survives_another_submission(engine: AsyncEngine) -> None:
    """A check handed in again is awaited, but what was told stands until the opposite comes."""
    for verdict in (Verdict.FLAGGED, Verdict.CLEARED):
        await save(engine, UserState(verdict=verdict))
        await submit(engine, is_check=True)
        found = await find(engine)

        assert found
        assert found.user_state.verdict is verdict
        assert found.user_state.is_check_submitted


async def test_check_seen_at_dots_first_is_pending_since_then(engine: AsyncEngine) -> None:
    """A check begun outside of our flows is awaited from the first time it was seen, not from the last."""
    for minutes in (1, 2):
        await save(engine, UserState(check_status="pending", verdict=Verdict.PENDING), minutes=minutes)

    found = await find(engine)

    assert found
    assert found.check_submitted_at == later(1)


async def test_check_that_needs_review_at_first_sight_is_awaited_since_then(engine: AsyncEngine) -> None:
    """A verdict may follow, so that it is looked at by its age like a pending one."""
    for minutes in (1, 2):
        await save(engine, UserState(check_status="consider", verdict=Verdict.NEEDS_REVIEW), minutes=minutes)

    found = await find(engine)

    assert found
    assert found.check_submitted_at == later(1)


async def test_lock_waits_and_sees_what_was_saved_meanwhile(engine: AsyncEngine) -> None:
    """Two refreshes of one user follow each other, so that a verdict settles once."""
    async with engine.connect() as first:
        known = await user_rows.lock(first, "default", "user-1", now=NOW)
        waiting = asyncio.create_task(lock(engine))
        await until_waiting(engine)
        user_state = UserState(verdict=Verdict.FLAGGED, verdict_count=1)
        await user_rows.save(first, known, user_state, now=NOW, events_added=1)
        await first.commit()
        found = await waiting

    assert (found.user_state, found.last_sequence) == (user_state, 1)
