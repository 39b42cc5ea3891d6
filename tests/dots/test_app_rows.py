"""Pauses of apps: Dots refuses their credentials, or asked for a pause."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.dots import app_rows
from app.storage import database
from tests.dots.fake_dots import NOW
from tests.flows.intents import later
from tests.storage import stored

APPS = "SELECT app, paused_until, pauses FROM apps ORDER BY app"

Pause = Callable[..., Any]


async def paused(engine: AsyncEngine, now: datetime = NOW) -> frozenset[str]:
    """Return the apps that are paused for their credentials at this time."""
    async with database.transaction(engine) as connection:
        return await app_rows.paused(connection, now)


async def test_app_is_paused_until_then(engine: AsyncEngine) -> None:
    """Each app has its own pause, which ends on time."""
    async with database.transaction(engine) as connection:
        await app_rows.pause(connection, "default", until=later(1))
        await app_rows.pause(connection, "eu", until=later(3))

    assert [await paused(engine, later(minutes)) for minutes in (0, 1, 3)] == [{"default", "eu"}, {"eu"}, set()]


async def test_pauses_in_a_row_are_counted(engine: AsyncEngine) -> None:
    """Calls that are refused together count as one pause. The count makes the next pause longer."""
    async with database.transaction(engine) as connection:
        for earlier in (0, 0, 1, 1, 0):
            await app_rows.pause(connection, "default", until=later(2), earlier=earlier)

    assert await stored.rows(engine, APPS) == [{"app": "default", "paused_until": later(2), "pauses": 2}]


PAUSES_IN_TURN = [
    ([(app_rows.pause, 5), (app_rows.pause, 2)], 1),
    ([(app_rows.hold_off, 5), (app_rows.hold_off, 2)], 0),
    ([(app_rows.pause, 2), (app_rows.hold_off, 5)], 1),
]


@pytest.mark.parametrize(("pauses", "refusals"), PAUSES_IN_TURN)
async def test_later_end_counts(engine: AsyncEngine, pauses: list[tuple[Pause, int]], refusals: int) -> None:
    """A shorter pause does not end a longer one. Only pauses for refused credentials are counted."""
    async with database.transaction(engine) as connection:
        for pause, minutes in pauses:
            await pause(connection, "default", until=later(minutes))

    assert await stored.rows(engine, APPS) == [{"app": "default", "paused_until": later(5), "pauses": refusals}]
    assert await paused(engine) == ({"default"} if refusals else set())


async def test_accepted_app_is_asked_again(engine: AsyncEngine) -> None:
    """Accepted credentials end the pause and reset the count. Other apps keep theirs."""
    async with database.transaction(engine) as connection:
        await app_rows.pause(connection, "default", until=later(5))
        await app_rows.pause(connection, "eu", until=later(5))
        for app in ("default", "default", "us"):
            await app_rows.resume(connection, app)

    assert await stored.rows(engine, APPS) == [
        {"app": "default", "paused_until": None, "pauses": 0},
        {"app": "eu", "paused_until": later(5), "pauses": 1},
    ]
