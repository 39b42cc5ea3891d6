"""Make deliveries pending again, concurrently with sending, deleting and other redeliveries."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import SubscriptionNotFoundError
from app.storage import database
from app.subscriptions import redelivery_rows, subscription_rows
from tests.dots.fake_dots import NOW
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.flows.intents import later
from tests.storage import stored
from tests.storage.locks import until_waiting
from tests.subscriptions.subscribed import add, stamp, subscription

QUEUES = "SELECT subject, due_at FROM delivery_queues ORDER BY subject"
DELIVERIES = "SELECT position, state, attempts, settled_at, last_error FROM deliveries ORDER BY position"


async def make_pending(engine: AsyncEngine, *positions: int, minutes: int = 5) -> None:
    """Redeliver to the first subscription, this many minutes after the start."""
    async with database.transaction(engine) as connection:
        await redelivery_rows.make_pending(connection, subscription().id, positions, now=later(minutes))


async def test_settled_deliveries_start_again(engine: AsyncEngine) -> None:
    """They have zero attempts. Other deliveries and queues stay unchanged."""
    await add(engine, subscription())
    await feeding.append(engine, step_events(2))
    await feeding.append(engine, step_events(1, flow_id="flow-2"))
    await stamp(engine)
    await stored.execute(
        engine,
        "UPDATE deliveries SET state = 'dead', attempts = 10, settled_at = now(), last_error = 'gone'",
        "DELETE FROM delivery_queues",
    )
    await make_pending(engine, 1)

    rows = await stored.rows(engine, DELIVERIES)
    assert [(row["position"], row["state"], row["attempts"]) for row in rows] == [
        (1, "pending", 0),
        (2, "dead", 10),
        (3, "dead", 10),
    ]
    assert (rows[0]["settled_at"], rows[0]["last_error"]) == (None, None)
    assert await stored.rows(engine, QUEUES) == [{"subject": "flow/flow-1", "due_at": later(5)}]


@pytest.mark.parametrize(("due_at", "expected"), [(0, 0), (30, 5)])
async def test_queue_becomes_due_now(engine: AsyncEngine, due_at: int, expected: int) -> None:
    """A redelivery never delays a queue."""
    await add(engine, subscription())
    await feeding.append(engine, step_events(1))
    await stamp(engine)
    await stored.execute(engine, "UPDATE delivery_queues SET due_at = :due_at", due_at=later(due_at))
    await make_pending(engine, 1, minutes=5)

    assert await stored.rows(engine, QUEUES) == [{"subject": "flow/flow-1", "due_at": later(expected)}]


async def test_redelivery_waits_for_the_queue_lock(engine: AsyncEngine) -> None:
    """Otherwise a sender could delete the queue as empty while a delivery becomes pending."""
    await add(engine, subscription())
    await feeding.append(engine, step_events(1))
    await stamp(engine)
    async with engine.connect() as sender:
        await sender.execute(text("SELECT FROM delivery_queues FOR UPDATE"))
        await sender.execute(text("UPDATE deliveries SET state = 'delivered', settled_at = :now"), {"now": NOW})
        redelivering = asyncio.create_task(make_pending(engine, 1))
        await until_waiting(engine)
        await sender.execute(text("DELETE FROM delivery_queues"))
        await sender.commit()
    await redelivering

    assert [row["state"] for row in await stored.rows(engine, DELIVERIES)] == ["pending"]
    assert await stored.rows(engine, QUEUES) == [{"subject": "flow/flow-1", "due_at": later(5)}]


async def test_redeliveries_in_opposite_orders_do_not_deadlock(engine: AsyncEngine) -> None:
    """Queues are locked in their own order, not in the order of the events."""
    await add(engine, subscription())
    for number in range(30):
        await feeding.append(engine, step_events(1, flow_id=f"flow-{number}"))
    await stamp(engine)
    positions = list(range(1, 31))

    await asyncio.gather(*(make_pending(engine, *positions[:: 1 - 2 * (turn % 2)]) for turn in range(10)))

    assert [row["state"] for row in await stored.rows(engine, DELIVERIES)] == ["pending"] * 30


async def test_subscription_deleted_meanwhile_is_unknown(engine: AsyncEngine) -> None:
    """The redelivery fails and leaves no rows."""
    await add(engine, subscription())
    await feeding.append(engine, step_events(1))
    await stamp(engine)
    async with engine.connect() as deleter:
        await subscription_rows.delete_queues(deleter, subscription().id, limit=10)
        await subscription_rows.delete_deliveries(deleter, subscription().id, limit=10)
        await subscription_rows.delete(deleter, subscription().id)
        redelivering = asyncio.create_task(make_pending(engine, 1))
        await until_waiting(engine)
        await deleter.commit()

    with pytest.raises(SubscriptionNotFoundError):
        await redelivering
    assert [await stored.count(engine, table) for table in ("delivery_queues", "deliveries")] == [0, 0]
