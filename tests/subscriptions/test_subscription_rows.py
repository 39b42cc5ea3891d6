"""Rows of subscriptions."""

import asyncio
import dataclasses
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.feed import event_rows
from app.storage import database
from app.subscriptions import subscription_rows
from app.subscriptions.rules.subscriptions import PausedBy, Subscription
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.flows.intents import later
from tests.storage import stored
from tests.storage.locks import until_waiting
from tests.subscriptions.subscribed import add, stamp, subscription


async def find(engine: AsyncEngine, subscription_id: UUID) -> Subscription | None:
    """Find the subscription."""
    async with database.transaction(engine) as connection:
        return await subscription_rows.find(connection, subscription_id)


async def pages(engine: AsyncEngine, size: int) -> list[list[int]]:
    """All pages, as numbers of subscriptions."""
    numbers = {subscription(number).id: number for number in range(10)}
    found: list[list[Subscription]] = []
    before = None
    async with database.transaction(engine) as connection:
        while page := await subscription_rows.page(connection, before=before, limit=size):
            found.append(page)
            before = page[-1].created_at, page[-1].id
    return [[numbers[each.id] for each in page] for page in found]


async def test_subscription_is_found_as_inserted(engine: AsyncEngine) -> None:
    """Every field is stored. None for an unknown id."""
    whole = subscription(
        description="Orders",
        types=("dots.flow.*", "dots.user.*"),
        app="eu",
        paused_at=later(1),
        paused_by="gone",
        failing_since=later(2),
        opened_at=later(3),
        held_until=later(4),
        closed_at=later(5),
    )
    await add(engine, whole, subscription(2))

    assert await find(engine, whole.id) == whole
    assert await find(engine, subscription(3).id) is None


async def test_pages_hold_every_subscription_newest_first(engine: AsyncEngine) -> None:
    """Subscriptions with the same creation time are also listed once."""
    await add(engine, *(subscription(number, created_at=later(number // 3)) for number in (4, 1, 3, 2, 5)))

    assert await pages(engine, 2) == [[5, 4], [3, 2], [1]]


async def test_change_leaves_health_and_others_alone(engine: AsyncEngine) -> None:
    """A new URL does not change the pause, the failures or other subscriptions."""
    failing = subscription(paused_at=later(1), paused_by="failing", failing_since=later(1))
    await add(engine, failing, subscription(2))
    async with database.transaction(engine) as connection:
        await subscription_rows.change(
            connection, failing.id, url="http://127.0.0.1:8/new", types=["dots.flow.*"], app="eu", description="New"
        )

    assert await find(engine, failing.id) == dataclasses.replace(
        failing, url="http://127.0.0.1:8/new", types=("dots.flow.*",), app="eu", description="New"
    )
    assert await find(engine, subscription(2).id) == subscription(2)


@pytest.mark.parametrize("by", ["caller", "gone", "failing"])
async def test_first_pause_stays_until_resumed(engine: AsyncEngine, by: PausedBy) -> None:
    """A later pause changes neither time nor reason. Resuming clears pause, failures and breaker."""
    await add(engine, subscription(failing_since=later(0), opened_at=later(0), held_until=later(9)))
    async with database.transaction(engine) as connection:
        await subscription_rows.pause(connection, subscription().id, by=by, now=later(1))
        await subscription_rows.pause(connection, subscription().id, by="caller", now=later(2))
    paused = await find(engine, subscription().id)
    async with database.transaction(engine) as connection:
        await subscription_rows.resume(connection, subscription().id, now=later(3))

    assert paused is not None
    assert (paused.paused_at, paused.paused_by) == (later(1), by)
    assert await find(engine, subscription().id) == subscription(closed_at=later(3))


async def test_retired_subscription_gets_no_deliveries(engine: AsyncEngine) -> None:
    """Events numbered later create no deliveries for it. Returns False for an unknown subscription."""
    await add(engine, subscription(), subscription(2))
    async with database.transaction(engine) as connection:
        known = await subscription_rows.retire(connection, subscription().id, now=later(1))
        unknown = await subscription_rows.retire(connection, subscription(3).id, now=later(1))
    await feeding.append(engine, step_events(1))
    await stamp(engine)

    rows = await stored.rows(engine, "SELECT subscription_id FROM deliveries")
    assert (known, unknown) == (True, False)
    assert [row["subscription_id"] for row in rows] == [subscription(2).id]


async def test_retiring_waits_for_the_sequencer(engine: AsyncEngine) -> None:
    """So no concurrent pass creates deliveries for the subscription."""
    await add(engine, subscription())

    async def retire() -> bool:
        async with database.transaction(engine) as connection:
            return await subscription_rows.retire(connection, subscription().id, now=later(1))

    async with engine.connect() as sequencer:
        await event_rows.stamp(sequencer, limit=10)
        retiring = asyncio.create_task(retire())
        await until_waiting(engine)
        is_done_early = retiring.done()
        await sequencer.commit()

    assert not is_done_early
    assert await retiring


async def test_deliveries_and_queues_are_deleted_in_batches(engine: AsyncEngine) -> None:
    """Each call returns the number of deleted rows. Rows of other subscriptions stay."""
    await add(engine, subscription(), subscription(2))
    for number in range(3):
        await feeding.append(engine, step_events(1, flow_id=f"flow-{number}"))
    await stamp(engine)
    async with database.transaction(engine) as connection:
        queues = [await subscription_rows.delete_queues(connection, subscription().id, limit=2) for _ in range(3)]
        rows = [await subscription_rows.delete_deliveries(connection, subscription().id, limit=2) for _ in range(3)]
        await subscription_rows.delete(connection, subscription().id)

    assert (queues, rows) == ([2, 1, 0], [2, 1, 0])
    assert await find(engine, subscription().id) is None
    assert [await stored.count(engine, table) for table in ("delivery_queues", "deliveries")] == [3, 3]
