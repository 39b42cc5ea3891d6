"""Apps that are paused, because Dots refuses their credentials or asked for a rest."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.dots import app_rows
from app.storage import database
from tests.dots.fake_dots import NOW
from tests.flows.intents import later
from tests.storage import stored

APPS = "SELECT app, paused_until, pauses FROM apps ORDER BY app"


async def paused(engine: AsyncEngine, now: datetime = NOW) -> frozenset[str]:
    """The apps that are paused then."""
    async with database.transaction(engine) as connection:
        return await app_rows.paused(connection, now)


async def test_no_app_is_paused_at_first(engine: AsyncEngine) -> None:
    """Nothing is known of any app before Dots refuses it."""
    assert await paused(engine) == frozenset()


async def test_app_is_paused_until_then(engine: AsyncEngine) -> None:
    """Each app for itself, and not a moment longer."""
    async with database.transaction(engine) as connection:
        await app_rows.pause(connection, "default", until=later(1))
        await app_rows.pause(connection, "eu", until=later(3))

    assert [await paused(engine, later(minutes)) for minutes in (0, 1, 3)] == [{"default", "eu"}, {"eu"}, set()]


async def test_pauses_in_a_row_are_counted(engine: AsyncEngine) -> None:
    """So that the next one can be longer; a whole batch refused at once is one pause."""
    async with database.transaction(engine) as connection:
        for earlier in (0, 0, 1, 1, 0):
            await app_rows.pause(connection, "default", until=later(2), earlier=earlier)

    assert await stored.rows(engine, APPS) == [{"app": "default", "paused_until": later(2), "pauses": 2}]


async def test_shorter_pause_does_not_end_a_longer_one(engine: AsyncEngine) -> None:
    """The later end is the end, whoever comes last."""
    async with database.transaction(engine) as connection:
        await app_rows.pause(connection, "default", until=later(5))
        await app_rows.pause(connection, "default", until=later(2))

    assert await stored.rows(engine, APPS) == [{"app": "default", "paused_until": later(5), "pauses": 1}]


async def test_holding_off_is_no_refusal(engine: AsyncEngine) -> None:
    """Dots asked for fewer requests: there is nothing for an operator to repair, and nothing to count."""
    async with database.transaction(engine) as connection:
        await app_rows.hold_off(connection, "default", until=later(5))
        await app_rows.hold_off(connection, "default", until=later(2))

    assert await stored.rows(engine, APPS) == [{"app": "default", "paused_until": later(5), "pauses": 0}]
    assert await paused(engine) == frozenset()


async def test_holding_off_leaves_a_pause_a_pause(engine: AsyncEngine) -> None:
    """Both count, and the later end is the end."""
    async with database.transaction(engine) as connection:
        await app_rows.pause(connection, "default", until=later(2))
        await app_rows.hold_off(connection, "default", until=later(5))

    assert await stored.rows(engine, APPS) == [{"app": "default", "paused_until": later(5), "pauses": 1}]


async def test_accepted_app_is_asked_again(engine: AsyncEngine) -> None:
    """The pause ends at once and the next one is a first one; other apps are left alone."""
    async with database.transaction(engine) as connection:
        await app_rows.pause(connection, "default", until=later(5))
        await app_rows.pause(connection, "eu", until=later(5))
        await resume_twice(connection)

    assert await stored.rows(engine, APPS) == [
        {"app": "default", "paused_until": None, "pauses": 0},
        {"app": "eu", "paused_until": later(5), "pauses": 1},
    ]


async def resume_twice(connection: AsyncConnection) -> None:
    """Resume one app twice, and one that was never paused."""
    for app in ("default", "default", "us"):
        await app_rows.resume(connection, app)
