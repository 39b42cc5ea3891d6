"""Subjects that were merged into others are not due any more."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from app.flows import sync_rows
from app.storage import database
from app.storage.subjects import Subject
from tests.dots.fake_dots import NOW
from tests.flows.syncing import (
    MINUTE,
    claim_one,
    mark_due,
    postpone,
    subject,
)
from tests.storage import stored

OLD = subject(kind="user")
ROW = "SELECT due_at, dirty_gen, clean_gen, attempts, last_error, dead_at FROM sync_rows"


async def rest(engine: AsyncEngine, *subjects: Subject) -> None:
    """Put subjects to rest."""
    async with database.transaction(engine) as connection:
        await sync_rows.rest(connection, subjects)


async def test_resting_subject_is_clean_and_not_due(engine: AsyncEngine) -> None:
    """Its failures are reset, and its webhooks count as handled."""
    await mark_due(engine, OLD)
    claim = await claim_one(engine, OLD)
    assert claim
    await postpone(engine, claim)

    await rest(engine, OLD, subject(2, kind="user"))

    assert await stored.rows(engine, ROW) == [
        {"due_at": None, "dirty_gen": 1, "clean_gen": 1, "attempts": 0, "last_error": None, "dead_at": None}
    ]


async def test_resting_subject_wakes_when_it_is_made_due(engine: AsyncEngine) -> None:
    """A webhook makes it due again."""
    await mark_due(engine, OLD)
    await rest(engine, OLD)

    await mark_due(engine, OLD, at=NOW + MINUTE)

    assert await _due_at(engine) == NOW + MINUTE


async def test_leased_subject_is_not_changed(engine: AsyncEngine) -> None:
    """The holder of the lease sets the next due time."""
    await mark_due(engine, OLD)
    await claim_one(engine, OLD)

    await rest(engine, OLD)

    assert await _due_at(engine) == NOW


async def test_locked_row_is_skipped(engine: AsyncEngine) -> None:
    """Other transactions lock rows in order, so waiting here could deadlock."""
    await mark_due(engine, OLD)

    async with engine.connect() as holder:
        await holder.exec_driver_sql("UPDATE sync_rows SET attempts = 0")
        await rest(engine, OLD)
        await holder.rollback()

    assert await _due_at(engine) == NOW


async def _due_at(engine: AsyncEngine) -> datetime | None:
    due_at: datetime | None = (await stored.row(engine, ROW))["due_at"]
    return due_at
