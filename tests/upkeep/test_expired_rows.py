"""Deletes of expired rows: which rows go, and which stay."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.feed import event_rows
from app.flows import refresh_rows
from app.flows.refresh_rows import RefreshRecord
from app.storage import database
from app.storage.subjects import Subject
from app.upkeep import expired_rows
from app.webhooks import webhook_rows
from app.webhooks.webhook_rows import Webhook
from tests.dots.fake_dots import NOW
from tests.feed import feeding
from tests.flows.intents import later
from tests.storage import stored

DEADLINE_SECONDS = 4.0
FLOW = Subject(app="default", kind="flow", id="flow-1")
Deletion = Callable[..., Awaitable[int]]


async def receive(engine: AsyncEngine, message_id: str, *, minutes: int) -> None:
    """Store a webhook received at this minute."""
    webhook = Webhook(
        app="default",
        message_id=message_id,
        received_at=later(minutes),
        body=b"body",
        event="flow.updated",
        subject=FLOW,
    )
    async with database.transaction(engine) as connection:
        await webhook_rows.store(connection, [webhook])


async def refresh(engine: AsyncEngine, *, minutes: int) -> None:
    """Record a refresh that ended at this minute."""
    record = RefreshRecord(ended_at=later(minutes), due_by="webhook", outcome="unchanged")
    async with database.transaction(engine) as connection:
        await refresh_rows.add(connection, [(FLOW, record)])


async def expire(engine: AsyncEngine, delete: Deletion, *, minutes: int, limit: int = 100) -> int:
    """Delete rows from before this minute. Returns the number of deleted rows."""
    async with database.transaction(engine) as connection:
        return await delete(connection, before=later(minutes), limit=limit)


async def feed(engine: AsyncEngine, *minutes: int) -> None:
    """Append events that occurred at these minutes, and number them in this order."""
    for index, minute in enumerate(minutes):
        event = feeding.step_events(index + 1, at=later(minute))[index]
        await feeding.append(engine, [event], after_sequence=index)
    await feeding.stamp(engine)


async def positions(engine: AsyncEngine) -> list[int | None]:
    """The positions of the remaining events."""
    return [row["position"] for row in await stored.rows(engine, "SELECT position FROM events ORDER BY row_id")]


async def expired_position(engine: AsyncEngine) -> int:
    """The position of the last expired event."""
    async with database.transaction(engine) as connection:
        return (await event_rows.state(connection)).expired_position


async def test_bodies_are_cleared_and_ids_kept(engine: AsyncEngine) -> None:
    """A repeat of a webhook whose body has expired still counts as a repeat."""
    await receive(engine, "msg_1", minutes=1)
    await receive(engine, "msg_2", minutes=2)

    cleared = [await expire(engine, expired_rows.forget_bodies, minutes=2) for _ in range(2)]
    await receive(engine, "msg_1", minutes=3)

    assert cleared == [1, 0]
    assert await stored.rows(engine, "SELECT message_id, body, received_count FROM webhooks ORDER BY message_id") == [
        {"message_id": "msg_1", "body": None, "received_count": 2},
        {"message_id": "msg_2", "body": b"body", "received_count": 1},
    ]


async def test_webhook_stays_while_it_is_repeated(engine: AsyncEngine) -> None:
    """The retention time of an id starts when the webhook was last received."""
    await receive(engine, "msg_1", minutes=1)
    await receive(engine, "msg_2", minutes=1)
    await receive(engine, "msg_2", minutes=5)
    await receive(engine, "msg_3", minutes=4)

    deleted = await expire(engine, expired_rows.delete_webhooks, minutes=4)

    assert deleted == 1
    assert await stored.rows(engine, "SELECT message_id FROM webhooks ORDER BY message_id") == [
        {"message_id": "msg_2"},
        {"message_id": "msg_3"},
    ]


async def test_old_refreshes_are_deleted(engine: AsyncEngine) -> None:
    """Refreshes that ended before the limit are deleted; younger ones stay."""
    for minutes in (3, 1, 2):
        await refresh(engine, minutes=minutes)

    deleted = await expire(engine, expired_rows.delete_refreshes, minutes=2)

    assert deleted == 1
    assert await stored.rows(engine, "SELECT ended_at FROM refreshes ORDER BY id") == [
        {"ended_at": later(3)},
        {"ended_at": later(2)},
    ]


@pytest.mark.parametrize(
    "delete",
    [
        expired_rows.forget_bodies,
        expired_rows.delete_webhooks,
        expired_rows.delete_refreshes,
        expired_rows.delete_events,
    ],
)
async def test_batches_are_bounded(engine: AsyncEngine, delete: Deletion) -> None:
    """One call deletes at most `limit` rows. Repeated calls delete everything."""
    for number in range(5):
        await receive(engine, f"msg_{number}", minutes=1)
        await refresh(engine, minutes=1)
    await feed(engine, 1, 1, 1, 1, 1)

    counts = [await expire(engine, delete, minutes=2, limit=2) for _ in range(4)]

    assert counts == [2, 2, 1, 0]


async def test_locked_row_is_skipped(engine: AsyncEngine) -> None:
    """A delete does not wait for a locked row. The next delete takes it."""
    await receive(engine, "msg_1", minutes=1)
    await receive(engine, "msg_2", minutes=1)

    async with engine.connect() as holder, asyncio.timeout(4):
        await holder.exec_driver_sql("SELECT 1 FROM webhooks WHERE message_id = 'msg_1' FOR UPDATE")
        during = await expire(engine, expired_rows.delete_webhooks, minutes=2)

    assert during == 1
    assert await expire(engine, expired_rows.delete_webhooks, minutes=2) == 1


async def test_front_of_the_feed_is_deleted(engine: AsyncEngine) -> None:
    """The cursors of deleted events expire. The other events keep their positions."""
    await feed(engine, 1, 2, 3)

    deleted = await expire(engine, expired_rows.delete_events, minutes=3)

    assert deleted == 2
    assert await positions(engine) == [3]
    assert await expired_position(engine) == 2


async def test_front_ends_before_the_first_young_event(engine: AsyncEngine) -> None:
    """An old event behind a young one stays. Otherwise the feed would have a gap that readers cannot see."""
    await feed(engine, 1, 5, 1)

    deleted = [await expire(engine, expired_rows.delete_events, minutes=3) for _ in range(2)]

    assert deleted == [1, 0]
    assert await positions(engine) == [2, 3]
    assert await expired_position(engine) == 1


async def test_whole_feed_may_expire(engine: AsyncEngine) -> None:
    """The next event gets the next position, not the first one."""
    await feed(engine, 1, 1)
    deleted = await expire(engine, expired_rows.delete_events, minutes=3)

    await feeding.feed(engine, feeding.step_events(1, flow_id="flow-2", at=later(5)))

    assert deleted == 2
    assert await positions(engine) == [3]
    assert await expired_position(engine) == 2


async def test_events_without_a_position_stay(engine: AsyncEngine) -> None:
    """An event without a position is not deleted, however old it is, because no reader has seen it."""
    await feed(engine, 1)
    await feeding.append(engine, feeding.step_events(1, flow_id="flow-2", at=NOW))

    deleted = await expire(engine, expired_rows.delete_events, minutes=3)

    assert deleted == 1
    assert await positions(engine) == [None]
    assert await expired_position(engine) == 1


async def test_purge_of_an_empty_feed_expires_no_cursor(engine: AsyncEngine) -> None:
    """Nothing is deleted, and `expired_position` does not move."""
    deleted = await expire(engine, expired_rows.delete_events, minutes=3)

    assert deleted == 0
    assert await expired_position(engine) == 0


async def test_young_events_stay_while_they_are_being_stamped(engine: AsyncEngine) -> None:
    """A purge does not wait for a sequencer that has not committed. It deletes only the old events."""
    await feed(engine, 0)
    await feeding.append(engine, feeding.step_events(3, flow_id="young", at=later(50)))
    async with database.transaction(engine) as stamping:
        await event_rows.stamp(stamping, limit=100)
        async with asyncio.timeout(DEADLINE_SECONDS):
            deleted = await expire(engine, expired_rows.delete_events, minutes=30)

    assert deleted == 1
    assert await expired_position(engine) == 1
    assert await positions(engine) == [2, 3, 4]
    assert (await feeding.state(engine)).last_position == 4


async def test_event_stays_until_all_its_deliveries_are_deleted(engine: AsyncEngine) -> None:
    """Each pass deletes a batch of deliveries, and the event after the last of them. Younger deliveries stay."""
    await feed(engine, 0, 40)
    await stored.execute(
        engine,
        "INSERT INTO subscriptions (id, caller, url, types, with_compliance, created_at) "
        "SELECT gen_random_uuid(), 'shop', 'http://127.0.0.1:9', '{*}', false, :at FROM generate_series(1, 5)",
        "INSERT INTO deliveries (subscription_id, position, app, subject, created_at) "
        "SELECT s.id, e.position, e.app, e.subject, :at FROM subscriptions s CROSS JOIN events e",
        at=NOW,
    )

    passes = [
        (
            await expire(engine, expired_rows.delete_events, minutes=30, limit=2),
            await stored.count(engine, "deliveries"),
            await positions(engine),
        )
        for _ in range(4)
    ]

    assert passes == [(2, 8, [1, 2]), (2, 6, [1, 2]), (2, 5, [2]), (0, 5, [2])]
    assert await stored.row(engine, "SELECT DISTINCT position FROM deliveries") == {"position": 2}
