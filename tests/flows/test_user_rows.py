"""Stored users."""

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
    """Note a submission, this many minutes after NOW."""
    async with database.transaction(engine) as connection:
        await user_rows.note_submission(
            connection, "default", "user-1", now=later(minutes), is_check=is_check, is_id=is_id
        )


async def lock(engine: AsyncEngine, *, app: str = "default") -> UserRecord:
    """Lock the user and return it."""
    async with database.transaction(engine) as connection:
        return await user_rows.lock(connection, app, "user-1", now=NOW)


async def save(engine: AsyncEngine, user_state: UserState, *, minutes: int = 0, events_added: int = 0) -> None:
    """Save this state of the user."""
    async with database.transaction(engine) as connection:
        known = await user_rows.lock(connection, "default", "user-1", now=NOW)
        await user_rows.save(connection, known, user_state, now=later(minutes), events_added=events_added)


async def find(engine: AsyncEngine, user_id: str = "user-1") -> UserRecord | None:
    """Return the user."""
    async with database.transaction(engine) as connection:
        return await user_rows.find(connection, user_id)


async def test_locking_adds_an_unknown_user(engine: AsyncEngine) -> None:
    """An unknown user is added by locking, with null in every field. Reading adds no user."""
    before = await find(engine)
    locked = await lock(engine)

    assert (before, locked) == (None, STRANGER)
    assert await find(engine) == STRANGER
    assert await stored.row(engine, "SELECT first_seen_at, id_verified, has_criminal_activity FROM users") == {
        "first_seen_at": NOW,
        "id_verified": None,
        "has_criminal_activity": None,
    }


async def test_users_of_two_apps_are_two(engine: AsyncEngine) -> None:
    """Two apps may have users with the same id."""
    await save(engine, UserState(status="verified"))

    other = await lock(engine, app="eu")

    assert other == dataclasses.replace(STRANGER, app="eu")


async def test_user_is_read_as_it_was_saved(engine: AsyncEngine) -> None:
    """Every field of the state comes back."""
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
    """A submitted check is pending even if Dots does not show it yet."""
    await submit(engine, minutes=1, is_check=True)

    assert await find(engine) == dataclasses.replace(
        STRANGER,
        user_state=UserState(verdict=Verdict.PENDING, is_check_submitted=True),
        check_submitted_at=later(1),
    )


async def test_submitted_id_does_not_change_the_verdict(engine: AsyncEngine) -> None:
    """A submitted ID has a time of its own."""
    await submit(engine, minutes=1, is_id=True)

    assert await find(engine) == dataclasses.replace(STRANGER, id_submitted_at=later(1))


async def test_submissions_keep_separate_times(engine: AsyncEngine) -> None:
    """A later submission of one kind does not change the time of the other."""
    await submit(engine, minutes=1, is_check=True, is_id=True)
    await submit(engine, minutes=2, is_id=True)
    await submit(engine, minutes=3, is_check=True)

    found = await find(engine)

    assert found
    assert (found.check_submitted_at, found.id_submitted_at) == (later(3), later(2))


async def test_settled_verdict_survives_another_submission(engine: AsyncEngine) -> None:
    """A check that is submitted again is awaited, but the verdict stays."""
    for verdict in (Verdict.FLAGGED, Verdict.CLEARED):
        await save(engine, UserState(verdict=verdict))
        await submit(engine, is_check=True)
        found = await find(engine)

        assert found
        assert found.user_state.verdict is verdict
        assert found.user_state.is_check_submitted


async def test_check_seen_at_dots_first_is_pending_since_then(engine: AsyncEngine) -> None:
    """A check begun elsewhere is awaited from the first time it was seen, also one that needs review."""
    for minutes, verdict in ((1, Verdict.NEEDS_REVIEW), (2, Verdict.PENDING)):
        await save(engine, UserState(verdict=verdict), minutes=minutes)

    found = await find(engine)

    assert found
    assert found.check_submitted_at == later(1)


async def test_lock_waits_and_sees_what_was_saved_meanwhile(engine: AsyncEngine) -> None:
    """Two refreshes of one user follow each other, so a verdict settles once."""
    async with engine.connect() as first:
        known = await user_rows.lock(first, "default", "user-1", now=NOW)
        waiting = asyncio.create_task(lock(engine))
        await until_waiting(engine)
        user_state = UserState(verdict=Verdict.FLAGGED, verdict_count=1)
        await user_rows.save(first, known, user_state, now=NOW, events_added=1)
        await first.commit()
        found = await waiting

    assert (found.user_state, found.last_sequence) == (user_state, 1)
