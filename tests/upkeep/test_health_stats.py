"""The counts for operators, by app."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage import database
from app.upkeep import health_stats
from app.upkeep.health_stats import HealthStats
from tests.dots.fake_dots import NOW
from tests.flows import syncing
from tests.flows.intents import begin
from tests.flows.syncing import MINUTE, subject
from tests.storage import stored


async def take(engine: AsyncEngine, *apps: str) -> HealthStats:
    """The stats two minutes after NOW."""
    async with database.transaction(engine) as connection:
        return await health_stats.take(
            connection, apps=apps, now=NOW + 2 * MINUTE, overdue_before=NOW - timedelta(days=3)
        )


@pytest.fixture
async def two_apps(engine: AsyncEngine) -> AsyncEngine:
    """Each app has two flows due, the older one failing, one swept tomorrow, one dead, one creation and a verdict.

    A check needs review, however old it is, and a flow waits for a step that was passed over.
    """
    for number, app in enumerate(("default", "eu")):
        await syncing.mark_due(engine, subject(4, app=app))
        await syncing.mark_due(engine, subject(1, app=app))
        for claim in await syncing.claim_due(engine, apps=[app]):
            if claim.subject == subject(4, app=app):
                await syncing.dead_letter(engine, claim)
            else:
                await syncing.postpone(engine, claim, due_at=NOW)
        await syncing.mark_due(engine, subject(2, app=app), at=NOW + MINUTE)
        await syncing.mark_due(engine, subject(3, app=app), at=NOW + timedelta(days=1), by="sweep")
        await begin(engine, number, minutes=0, app=app)
        await stored.execute(
            engine,
            "INSERT INTO users (app, id, first_seen_at, verdict, check_submitted_at) "
            "VALUES (:app, 'user-1', :at, 'pending', :at), (:app, 'user-2', :at, 'needs_review', :at)",
            app=app,
            at=NOW - timedelta(days=4),
        )
        await stored.execute(
            engine,
            "INSERT INTO flows (ref, app, id, status, created_at, waits_for_passed_over) "
            "VALUES (gen_random_uuid(), :app, 'flow-9', 'open', :at, true)",
            app=app,
            at=NOW,
        )
    return engine


async def test_apps_in_the_settings_are_counted(two_apps: AsyncEngine) -> None:
    """The counts leave out the rows of apps that are not in the settings."""
    both, one, none = await take(two_apps, "default", "eu"), await take(two_apps, "default"), await take(two_apps)

    assert both == HealthStats(
        due=4,
        oldest_due_seconds=120,
        failing=2,
        unsequenced=0,
        feed_position=0,
        unsettled_creations=2,
        dead=2,
        overdue_verdicts=2,
        checks_to_review=2,
        flows_passed_over=2,
    )
    assert one == HealthStats(
        due=2,
        oldest_due_seconds=120,
        failing=1,
        unsequenced=0,
        feed_position=0,
        unsettled_creations=1,
        dead=1,
        overdue_verdicts=1,
        checks_to_review=1,
        flows_passed_over=1,
    )
    assert (none.due, none.oldest_due_seconds, none.failing, none.dead) == (0, 0, 0, 0)


async def test_resting_rows_are_counted_by_app(two_apps: AsyncEngine) -> None:
    """Counts flows with a planned refresh and unfinished creations, only of apps that are not in the settings."""
    async with database.transaction(two_apps) as connection:
        resting = [await health_stats.resting(connection, apps) for apps in (["default"], ["default", "eu"], [])]

    assert resting == [{"eu": 4}, {}, {"default": 4, "eu": 4}]


async def test_app_with_nothing_to_do_does_not_rest(engine: AsyncEngine) -> None:
    """A flow without a planned refresh is not counted."""
    await syncing.mark_due(engine, subject(1, app="eu"))
    (claim,) = await syncing.claim_due(engine, apps=["eu"])
    await syncing.settle(engine, claim)

    async with database.transaction(engine) as connection:
        resting = await health_stats.resting(connection, ["default"])

    assert resting == {}


async def test_only_dead_letters_of_apps_in_the_settings_are_named(two_apps: AsyncEngine) -> None:
    """An operator cannot replay those of other apps."""
    async with database.transaction(two_apps) as connection:
        named = [await health_stats.given_up(connection, apps=apps, limit=5) for apps in (["default"], ["us"])]

    assert named == [["flow/flow-4 (dots_refused)"], []]
