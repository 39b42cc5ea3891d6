"""What is deleted, and what stays."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

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
    """A webhook so many minutes after the beginning."""
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
    """A refresh that ended so many minutes after the beginning."""
    record = RefreshRecord(ended_at=later(minutes), due_by="webhook", outcome="unchanged")
    async with database.transaction(engine) as connection:
        await refresh_rows.add(connection, [(FLOW, record)])


async def expire(engine: AsyncEngine, delete: Deletion, *, minutes: int, limit: int = 100) -> int:
    """Delete what is from before so many minutes after the beginning."""
    async with database.transaction(engine) as connection:
        return await delete(connection, before=later(minutes), limit=limit)


async def feed(engine: AsyncEngine, *minutes: int) -> None:
    """Events that occurred then, with places in this order."""
    for index, minute in enumerate(minutes):
        event = feeding.step_events(index + 1, at=later(minute))[index]
        await feeding.append(engine, [event], after_sequence=index)
    await feeding.stamp(engine)


async def positions(engine: AsyncEngine) -> list[int | None]:
    """The places of the events that are kept."""
    return [row["position"] for row in await stored.rows(engine, "SELECT position FROM events ORDER BY row_id")]


async def expired_position(engine: AsyncEngine) -> int:
    """Up to where cursors have expired."""
    async with database.transaction(engine) as connection:
        return (await event_rows.state(connection)).expired_position


async def test_bodies_are_forgotten_and_ids_kept(engine: AsyncEngine) -> None:
    """A repeat of what has no body any more is still a repeat."""
    await receive(engine, "msg_1", minutes=1)
    await receive(engine, "msg_2", minutes=2)

    forgotten = [await expire(engine, expired_rows.forget_bodies, minutes=2) for _ in range(2)]
    await receive(engine, "msg_1", minutes=3)

    assert forgotten == [1, 0]
    assert await stored.rows(engine, "SELECT message_id, body, received_count FROM webhooks ORDER BY message_id") == [
        {"message_id": "msg_1", "body": None, "received_count": 2},
        {"message_id": "msg_2", "body": b"body", "received_count": 1},
    ]


async def test_webhook_stays_while_it_is_repeated(engine: AsyncEngine) -> None:
    """Its id is needed as long as Dots may send it again, which counts from the last time."""
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
    """The timeline loses its oldest lines."""
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
    """Never more than asked for at once, and all of it in the end."""
    for number in range(5):
        await receive(engine, f"msg_{number}", minutes=1)
        await refresh(engine, minutes=1)
    await feed(engine, 1, 1, 1, 1, 1)

    counts = [await expire(engine, delete, minutes=2, limit=2) for _ in range(4)]

    assert counts == [2, 2, 1, 0]


async def test_what_somebody_holds_is_passed_by(engine: AsyncEngine) -> None:
    """A clean-up waits for nobody; the next one takes the rest."""
    await receive(engine, "msg_1", minutes=1)
    await receive(engine, "msg_2", minutes=1)

    async with engine.connect() as holder, asyncio.timeout(4):
        await holder.exec_driver_sql("SELECT 1 FROM webhooks WHERE message_id = 'msg_1' FOR UPDATE")
        during = await expire(engine, expired_rows.delete_webhooks, minutes=2)

    assert during == 1
    assert await expire(engine, expired_rows.delete_webhooks, minutes=2) == 1


async def test_front_of_the_feed_is_deleted(engine: AsyncEngine) -> None:
    """Cursors that point into what is gone have expired; the feed goes on where it was."""
    await feed(engine, 1, 2, 3)

    deleted = await expire(engine, expired_rows.delete_events, minutes=3)

    assert deleted == 2
    assert await positions(engine) == [3]
    assert await expired_position(engine) == 2


async def test_front_ends_before_the_first_young_event(engine: AsyncEngine) -> None:
    """An old event behind a young one stays with it: a gap would be events that readers never learn of."""
    await feed(engine, 1, 5, 1)

    deleted = [await expire(engine, expired_rows.delete_events, minutes=3) for _ in range(2)]

    assert deleted == [1, 0]
    assert await positions(engine) == [2, 3]
    assert await expired_position(engine) == 1


async def test_whole_feed_may_expire(engine: AsyncEngine) -> None:
    """What comes afterwards has the places after it, as if it were still there."""
    await feed(engine, 1, 1)
    deleted = await expire(engine, expired_rows.delete_events, minutes=3)

    await feeding.feed(engine, feeding.step_events(1, flow_id="flow-2", at=later(5)))

    assert deleted == 2
    assert await positions(engine) == [3]
    assert await expired_position(engine) == 2


async def test_events_without_a_place_stay(engine: AsyncEngine) -> None:
    """However old they are, nobody has been able to read them."""
    await feed(engine, 1)
    await feeding.append(engine, feeding.step_events(1, flow_id="flow-2", at=NOW))

    deleted = await expire(engine, expired_rows.delete_events, minutes=3)

    assert deleted == 1
    assert await positions(engine) == [None]
    assert await expired_position(engine) == 1


async def test_nothing_expires_of_an_empty_feed(engine: AsyncEngine) -> None:
    """No cursor of it has expired either."""
    deleted = await expire(engine, expired_rows.delete_events, minutes=3)

    assert deleted == 0
    assert await expired_position(engine) == 0


async def test_young_events_stay_while_they_are_being_stamped(engine: AsyncEngine) -> None:
    """A purge goes on beside a sequencer that has not committed: it takes what is old, and nothing behind it."""
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


async def test_deliveries_go_with_their_events(engine: AsyncEngine) -> None:
    """An event that is no longer kept cannot be sent; its delivery and its attempts are gone with it, others stay."""
    await feed(engine, 0, 40)
    await stored.execute(
        engine,
        "INSERT INTO subscriptions (id, caller, url, types, with_compliance, created_at) "
        "VALUES (gen_random_uuid(), 'shop', 'http://127.0.0.1:9', '{*}', false, :at)",
        at=NOW,
    )
    await stored.execute(
        engine,
        "INSERT INTO deliveries (subscription_id, position, app, subject, created_at) "
        "SELECT s.id, e.position, e.app, e.subject, :at FROM subscriptions s CROSS JOIN events e",
        at=NOW,
    )

    await expire(engine, expired_rows.delete_events, minutes=30)

    assert [row["position"] for row in await stored.rows(engine, "SELECT position FROM deliveries")] == [2]


async def test_expiry_and_deletion_are_one_step(engine: AsyncEngine) -> None:
    """No reader sees events gone whose cursors have not expired, nor the other way round."""
    await feed(engine, 1, 2)

    async with engine.connect() as cleaner:
        await expired_rows.delete_events(cleaner, before=later(3), limit=100)
        during = (await positions(engine), await expired_position(engine))
        await assert_gone(cleaner)
        await cleaner.rollback()

    assert during == ([1, 2], 0)
    assert (await positions(engine), await expired_position(engine)) == ([1, 2], 0)


async def assert_gone(connection: AsyncConnection) -> None:
    """The deleting transaction itself sees both done."""
    assert (await event_rows.state(connection)).expired_position == 2
    assert await event_rows.between(connection, after=0, up_to=9, types=["dots.flow.step_completed"], limit=9) == []


async def test_event_stays_until_all_its_deliveries_are_gone(engine: AsyncEngine) -> None:
    """Each pass deletes a batch of deliveries, however many subscriptions there are, and the event comes last."""
    await feed(engine, 0)
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
            await stored.count(engine, "events"),
        )
        for _ in range(4)
    ]

    assert passes == [(2, 3, 1), (2, 1, 1), (2, 0, 0), (0, 0, 0)]
