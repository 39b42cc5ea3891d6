"""Claims of delivery queues are bounded by the free slots, fair, and cheap despite dead rows."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.subscriptions import queue_claims
from app.subscriptions.queue_claims import ClaimedQueue, FreeSlots, KnownSubscription
from tests.dots.fake_dots import NOW
from tests.storage import plans, stored
from tests.subscriptions.subscribed import add, subscription

SECOND = timedelta(seconds=1)
QUEUES = """
    INSERT INTO delivery_queues (subscription_id, app, subject, due_at)
    SELECT s.id, 'default', 'flow/' || n, CAST(:at AS timestamptz) + n * interval '1 millisecond'
    FROM subscriptions s CROSS JOIN generate_series(1, :queues) n
"""


async def subscribe(engine: AsyncEngine, count: int, *, queues: int, at: datetime = NOW - SECOND) -> None:
    """Insert subscriptions, each with `queues` due queues."""
    await add(engine, *(subscription(number) for number in range(1, count + 1)))
    await stored.execute(engine, QUEUES, at=at, queues=queues)


def known(*, busy: int = 0, is_slow: bool = False, floor: datetime | None = None) -> KnownSubscription:
    """The process's knowledge of a subscription."""
    return KnownSubscription(busy=busy, is_slow=is_slow, floor=floor)


async def claim(
    connection: AsyncConnection,
    total: int,
    *,
    slow: int | None = None,
    at_once: int = 8,
    of: dict[UUID, KnownSubscription] | None = None,
) -> list[ClaimedQueue]:
    """Claim queues for these free slots."""
    return await queue_claims.claim_due(
        connection,
        slots=FreeSlots(total=total, slow=total if slow is None else slow, at_once=at_once),
        known=of or {},
        now=NOW,
        lease_until=NOW + 60 * SECOND,
        probe_until=NOW + 60 * SECOND,
        token=uuid4(),
    )


def shares(claimed: list[ClaimedQueue]) -> dict[int, int]:
    """The number of claimed queues per subscription."""
    numbers = [each.queue.subscription_id.int & 0xFFFF for each in claimed]
    return {number: numbers.count(number) for number in sorted(set(numbers))}


def id_of(number: int) -> UUID:
    """The id of a subscription."""
    return subscription(number).id


async def test_claim_locks_only_as_many_queues_as_slots(engine: AsyncEngine) -> None:
    """All other queues stay without a lease and a lock, so other processes can claim them."""
    await subscribe(engine, 20, queues=10)

    async with engine.connect() as first, engine.connect() as second:
        claimed = await claim(first, 12)
        lockable = await second.scalar(
            text("SELECT count(*) FROM (SELECT 1 FROM delivery_queues FOR UPDATE SKIP LOCKED) AS free")
        )
        await second.rollback()
        beside = await claim(second, 188, at_once=10)
        leased = await first.scalar(text("SELECT count(*) FROM delivery_queues WHERE lease_token IS NOT NULL"))

    assert (len(claimed), leased, lockable) == (12, 12, 188)
    assert len(beside) > 150
    keys = {(each.queue.subscription_id, each.queue.subject) for each in claimed}
    assert keys.isdisjoint((each.queue.subscription_id, each.queue.subject) for each in beside)


async def test_slots_are_shared_fairly(engine: AsyncEngine) -> None:
    """Subscriptions with the fewest deliveries in flight come first. Within one, queues go in order of due time."""
    await subscribe(engine, 4, queues=5)

    async with engine.connect() as connection:
        busy = {id_of(1): known(busy=2), id_of(2): known(busy=1)}
        few = await claim(connection, 5, of=busy)
        await connection.rollback()
        claimed = await claim(connection, 7, of=busy)
        await connection.rollback()
        full = await claim(connection, 40, at_once=3, of={id_of(1): known(busy=3)})

    assert shares(few) == {2: 1, 3: 2, 4: 2}
    assert shares(claimed) == {1: 1, 2: 2, 3: 2, 4: 2}
    assert shares(full) == {2: 3, 3: 3, 4: 3}
    assert {each.queue.subject for each in full} == {"flow/1", "flow/2", "flow/3"}


async def test_slow_subscriptions_share_their_slots(engine: AsyncEngine) -> None:
    """Slow and failing subscribers get only the slow slots. Others get the rest."""
    await subscribe(engine, 6, queues=8)
    await stored.execute(engine, "UPDATE subscriptions SET failing_since = created_at WHERE id = :id", id=id_of(5))
    slow = {id_of(number): known(is_slow=True) for number in range(1, 5)}

    async with engine.connect() as connection:
        claimed = shares(await claim(connection, 10, slow=3, of=slow))

    assert sum(count for number, count in claimed.items() if number <= 5) == 3
    assert claimed[6] == 7


async def test_probes_need_free_slots(engine: AsyncEngine) -> None:
    """A subscription whose probe finds no slot is probed by the next claim, not a minute later."""
    await subscribe(engine, 5, queues=3)
    await stored.execute(engine, "UPDATE subscriptions SET opened_at = :at, held_until = :at", at=NOW - SECOND)

    async with engine.begin() as connection:
        first = await claim(connection, 2)
    async with engine.begin() as connection:
        second = await claim(connection, 10)
        third = await claim(connection, 10)

    assert list(shares(first).values()) == [1, 1]
    assert list(shares(second).values()) == [1, 1, 1]
    assert shares(first).keys().isdisjoint(shares(second))
    assert third == []


async def test_queues_below_the_floor_need_a_full_scan(engine: AsyncEngine) -> None:
    """Each subscription has its own floor. A claim without floors finds every due queue."""
    await subscribe(engine, 2, queues=3)
    floor = NOW - SECOND + timedelta(milliseconds=3)

    async with engine.connect() as connection:
        above = await claim(connection, 20, of={id_of(1): known(floor=floor)})
        await connection.rollback()
        everything = await claim(connection, 20)

    assert shares(above) == {1: 1, 2: 3}
    assert {each.due_at for each in above if each.queue.subscription_id == id_of(1)} == {floor}
    assert shares(everything) == {1: 3, 2: 3}


async def test_claim_above_a_floor_does_not_read_dead_queues(engine: AsyncEngine) -> None:
    """While another transaction stays open, a claim above the floor skips thousands of dead rows."""
    await add(engine, subscription(1))
    async with plans.snapshot_held(engine):
        await stored.execute(engine, QUEUES, at=NOW - 20 * SECOND, queues=6_000)
        await stored.execute(engine, "DELETE FROM delivery_queues")
        await stored.execute(engine, QUEUES, at=NOW - SECOND, queues=5)
        of = {id_of(1): known(floor=NOW - 2 * SECOND)}
        full = await plans.pages(engine, lambda connection: claim(connection, 4))
        above = await plans.pages(engine, lambda connection: claim(connection, 4, of=of))

    assert full > 3 * above
