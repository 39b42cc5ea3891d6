"""Find deliveries for operators and timelines."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.feed import events
from app.flows.rules.verdict import Verdict
from app.storage import database
from app.storage.subjects import Subject
from app.subscriptions import delivery_search
from app.subscriptions.delivery_search import DeliveryFilter, DeliverySummary
from app.subscriptions.rules.deliveries import Attempt
from app.subscriptions.rules.subscriptions import DeliveryState
from tests.dots.fake_dots import NOW, USER
from tests.feed import feeding
from tests.feed.feeding import step_events, verdict_events
from tests.flows.intents import later
from tests.storage import stored
from tests.subscriptions.subscribed import add, stamp, subscription

STEPS = step_events(3)


@pytest.fixture
async def engine(engine: AsyncEngine) -> AsyncEngine:
    """Two subscriptions, each with deliveries of three steps and a verdict."""
    await add(engine, subscription(), subscription(2, created_at=later(1)))
    await feeding.append(engine, STEPS)
    await feeding.append(engine, verdict_events(Verdict.FLAGGED))
    await stamp(engine)
    return engine


async def page(
    engine: AsyncEngine,
    *,
    state: DeliveryState | None = None,
    types: Any = events.TYPES,
    before: int | None = None,
    limit: int = 10,
) -> list[DeliverySummary]:
    """A page of the first subscription's deliveries."""
    wanted = DeliveryFilter(subscription_id=subscription().id, types=types, state=state)
    async with database.transaction(engine) as connection:
        return (await delivery_search.page(connection, wanted, before=before, limit=limit)).deliveries


async def find(engine: AsyncEngine, event_id: UUID) -> DeliverySummary | None:
    """The first subscription's delivery of an event."""
    async with database.transaction(engine) as connection:
        return await delivery_search.find(connection, subscription().id, event_id)


async def add_attempt(engine: AsyncEngine, minute: int, *, position: int = 1, status: int | None = 500) -> None:
    """Insert an attempt of both subscriptions, this many minutes after the start."""
    await stored.execute(
        engine,
        "INSERT INTO delivery_attempts (subscription_id, position, attempted_at, status, error, took_ms) "
        "SELECT id, :position, :at, :status, 'failed', 12 FROM subscriptions",
        position=position,
        at=later(minute),
        status=status,
    )


async def test_delivery_is_found_by_its_event(engine: AsyncEngine) -> None:
    """The delivery has its event's fields. None if the subscription has no delivery of the event."""
    found = await find(engine, STEPS[1].id)

    assert found == DeliverySummary(
        subscription_id=subscription().id,
        position=2,
        event_id=STEPS[1].id,
        type="dots.flow.step_completed",
        app="default",
        subject="flow/flow-1",
        state="pending",
        failed_attempts=0,
        created_at=NOW,
        settled_at=None,
        last_error=None,
    )
    assert await find(engine, UUID(int=1)) is None


async def test_pages_hold_every_delivery_latest_first(engine: AsyncEngine) -> None:
    """Each delivery is on one page."""
    first = await page(engine, limit=3)
    second = await page(engine, limit=3, before=first[-1].position)

    assert [[each.position for each in found] for found in (first, second)] == [[4, 3, 2], [1]]


async def test_page_searches_a_bounded_number_of_deliveries(engine: AsyncEngine) -> None:
    """A page of a rare type may be empty without being the last. All pages together hold every match."""
    await stored.execute(
        engine, "UPDATE deliveries SET state = 'delivered', settled_at = created_at WHERE position NOT IN (1, 4)"
    )
    wanted = DeliveryFilter(subscription_id=subscription().id, types=(events.STEP_COMPLETED,), state="delivered")
    pages: list[list[int]] = []
    before: int | None = None
    async with database.transaction(engine) as connection:
        for _ in range(4):
            page = await delivery_search.page(connection, wanted, before=before, limit=5, scan_limit=1)
            pages.append([found.position for found in page.deliveries])
            before = page.next_before
        rare = DeliveryFilter(subscription_id=subscription().id, types=events.TYPES, state="pending")
        indexed = await delivery_search.page(connection, rare, before=4, limit=1, scan_limit=2)

    assert pages == [[], [3], [2], []]
    assert [found.position for found in indexed.deliveries] == [1]


async def test_state_and_types_filter(engine: AsyncEngine) -> None:
    """The filters work alone and together."""
    await stored.execute(
        engine,
        "UPDATE deliveries SET state = 'delivered', settled_at = now() WHERE position IN (1, 4)",
        "UPDATE deliveries SET state = 'dead', settled_at = now() WHERE position = 2",
    )
    states: list[DeliveryState | None] = ["pending", "delivered", "dead", None]

    found = {state: [each.position for each in await page(engine, state=state)] for state in states}

    assert found == {"pending": [3], "delivered": [4, 1], "dead": [2], None: [4, 3, 2, 1]}
    assert [each.position for each in await page(engine, types=[events.CHECK_FLAGGED])] == [4]
    assert await page(engine, types=[events.CHECK_FLAGGED], state="dead") == []


async def test_latest_attempts_come_oldest_first(engine: AsyncEngine) -> None:
    """Only attempts of this delivery are returned, up to the limit."""
    for minute, status in enumerate((500, None, 503)):
        await add_attempt(engine, minute, status=status)
    await add_attempt(engine, 9, position=2)
    async with database.transaction(engine) as connection:
        found = await delivery_search.attempts(connection, subscription().id, 1, limit=2)

    took = timedelta(milliseconds=12)
    assert found == [
        Attempt(attempted_at=later(1), status=None, error="failed", took=took, retry_after=None),
        Attempt(attempted_at=later(2), status=503, error="failed", took=took, retry_after=None),
    ]


async def test_deliveries_about_a_subject(engine: AsyncEngine) -> None:
    """Returns the latest to all subscriptions, oldest first. Other subjects and unnumbered events are left out."""
    await feeding.append(engine, step_events(4)[3:], after_sequence=3)
    async with database.transaction(engine) as connection:
        of_flow = await delivery_search.about(connection, Subject(app="default", kind="flow", id="flow-1"), 5)
        of_user = await delivery_search.about(connection, Subject(app="default", kind="user", id=USER), 5)
        of_other_app = await delivery_search.about(connection, Subject(app="eu", kind="flow", id="flow-1"), 5)

    numbers = {subscription().id: 1, subscription(2).id: 2}
    assert [(each.event_id, numbers[each.subscription_id]) for each in of_flow] == [
        (STEPS[0].id, 2),
        (STEPS[1].id, 1),
        (STEPS[1].id, 2),
        (STEPS[2].id, 1),
        (STEPS[2].id, 2),
    ]
    assert [each.type for each in of_user] == ["dots.background_check.flagged"] * 2
    assert of_other_app == []
