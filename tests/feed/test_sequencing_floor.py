"""Number events above a floor: cheap despite dead rows, and always in a subject's order."""

import random

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.feed import event_rows, events
from app.feed.event_rows import Stamped
from app.feed.events import Event
from tests.feed import feeding
from tests.storage import plans, stored

FEED = "SELECT subject, sequence, position FROM events ORDER BY position"


def one_event(flow_id: str, sequence: int) -> Event:
    """The event of a flow with this sequence."""
    return feeding.step_events(sequence, flow_id=flow_id)[-1]


async def append(connection: AsyncConnection, flow_id: str, sequence: int) -> None:
    """Append one event. The transaction stays open."""
    await event_rows.append(connection, [one_event(flow_id, sequence)], after_sequence=sequence - 1)


async def stamp(engine: AsyncEngine, *, floor: int, limit: int = 100) -> Stamped:
    """Number events once, and commit."""
    async with engine.begin() as connection:
        stamped = await event_rows.stamp(connection, limit=limit, floor=floor)
    assert stamped
    return stamped


async def test_event_waits_for_an_earlier_event_below_the_floor(engine: AsyncEngine) -> None:
    """A transaction commits below the floor. The next event of its flow is not numbered before it."""
    async with engine.connect() as slow:
        await append(slow, "late", 1)
        await feeding.append(engine, [one_event("other", 1)])
        floor = (await stamp(engine, floor=0)).reached or 0
        await slow.commit()
    await feeding.append(engine, [one_event("late", 2)], after_sequence=1)
    await feeding.append(engine, [one_event("other", 2)], after_sequence=1)
    above = await stamp(engine, floor=floor)
    after_floor = await stored.rows(engine, FEED)
    everything = await stamp(engine, floor=0)

    assert above.positions == range(2, 3)
    assert [row["position"] for row in after_floor if row["subject"] == "flow/late"] == [None, None]
    assert everything.positions == range(3, 5)
    assert [(row["subject"], row["sequence"]) for row in await stored.rows(engine, FEED)] == [
        ("flow/other", 1),
        ("flow/other", 2),
        ("flow/late", 1),
        ("flow/late", 2),
    ]


async def test_waiting_events_are_numbered_by_a_full_pass(engine: AsyncEngine) -> None:
    """A waiting event does not keep the floor down. The next full pass numbers it and its successors."""
    async with engine.connect() as slow:
        await append(slow, "late", 1)
        await feeding.append(engine, [one_event("other", 1)])
        await stamp(engine, floor=0)
        await slow.commit()
    await feeding.append(engine, [one_event("late", 2)], after_sequence=1)
    held = await stamp(engine, floor=2)
    await feeding.append(engine, [one_event("late", 3)], after_sequence=2)
    still_held = await stamp(engine, floor=held.reached or 0)
    everything = await stamp(engine, floor=0)

    assert (held.positions, held.reached) == (range(1, 1), 3)
    assert (still_held.positions, still_held.reached) == (range(1, 1), 4)
    assert everything.positions == range(2, 5)


@pytest.mark.parametrize("seed", range(3))
async def test_any_order_of_commits_keeps_the_feed_dense_and_in_order(engine: AsyncEngine, seed: int) -> None:
    """Transactions commit in random order between passes above random floors. No event is lost or out of order."""
    dice = random.Random(seed)
    written = dict.fromkeys((f"flow-{number}" for number in range(5)), 0)
    open_: dict[str, AsyncConnection] = {}
    floors = [0]
    for _ in range(120):
        flow_id = dice.choice(list(written))
        if dice.random() < 0.3:
            stamped = await stamp(engine, floor=dice.choice(floors[-4:]), limit=dice.choice((1, 2, 100)))
            floors.append(stamped.reached or floors[-1])
        elif flow_id in open_:
            connection = open_.pop(flow_id)
            await connection.commit()
            await connection.close()
        elif len(open_) < 4:
            open_[flow_id] = await engine.connect()
            written[flow_id] += 1
            await append(open_[flow_id], flow_id, written[flow_id])
    for connection in open_.values():
        await connection.commit()
        await connection.close()
    while (await stamp(engine, floor=0)).positions:
        pass

    feed = await stored.rows(engine, FEED)
    assert [row["position"] for row in feed] == list(range(1, sum(written.values()) + 1))
    for flow_id, count in written.items():
        own = [row["sequence"] for row in feed if row["subject"] == f"flow/{flow_id}"]
        assert own == list(range(1, count + 1))


async def test_pass_above_a_floor_does_not_read_dead_rows(engine: AsyncEngine) -> None:
    """While another transaction stays open, a pass above the floor skips thousands of dead index entries."""
    total = 3_000
    async with plans.snapshot_held(engine):
        await stored.execute(
            engine,
            "INSERT INTO events (id, app, type, subject, sequence, occurred_at, data) "
            "SELECT gen_random_uuid(), 'default', :type, 'flow/' || n, 1, now(), '{}' FROM generate_series(1, :n) n",
            type=events.FLOW_COMPLETED,
            n=total,
        )
        reached = 0
        while (stamped := await stamp(engine, floor=reached, limit=1000)).positions:
            reached = stamped.reached or reached
        full = await plans.pages(engine, lambda connection: event_rows.stamp(connection, limit=1000))
        above = await plans.pages(engine, lambda connection: event_rows.stamp(connection, limit=1000, floor=reached))

    assert (await feeding.state(engine)).last_position == total
    assert full > 5 * above
