"""Events and their places in the feed."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.feed import event_rows, events
from app.feed.events import EventRecord
from app.flows.rules import events as flow_events
from app.flows.rules.events import FlowFacts, UserFacts
from app.flows.rules.verdict import Verdict
from app.storage import database
from tests.dots.fake_dots import NOW
from tests.feed import feeding
from tests.feed.feeding import stamp, state
from tests.storage import stored

WRITERS = 8
ROUNDS = 6
PLACES = "SELECT row_id, position FROM events WHERE position IS NOT NULL"


async def between(
    engine: AsyncEngine, after: int, up_to: int, *, types: tuple[str, ...] = events.TYPES, limit: int = 1000
) -> list[EventRecord]:
    """A stretch of the feed."""
    async with database.transaction(engine) as connection:
        return await event_rows.between(connection, after=after, up_to=up_to, types=types, limit=limit)


async def about(engine: AsyncEngine, subject: str) -> list[EventRecord]:
    """The events of a subject."""
    async with database.transaction(engine) as connection:
        return await event_rows.about(connection, "default", subject, limit=100)


async def addresses(engine: AsyncEngine) -> dict[int, int]:
    """The place of each event that has one."""
    return {row["row_id"]: row["position"] for row in await stored.rows(engine, PLACES)}


async def test_event_is_read_as_it_was_appended(engine: AsyncEngine) -> None:
    """Nothing is lost on the way; its place comes later."""
    (event,) = feeding.step_events(1, at=NOW + timedelta(microseconds=1))
    await feeding.append(engine, [event], after_sequence=4)

    assert await about(engine, "flow/flow-1") == [
        EventRecord(
            id=event.id,
            app="default",
            type="dots.flow.step_completed",
            subject="flow/flow-1",
            sequence=5,
            occurred_at=NOW + timedelta(microseconds=1),
            data={"flow_id": "flow-1", "reference": "payee-17", "user_id": None, "step": "step-1"},
            position=None,
        )
    ]


async def test_nothing_to_append_is_fine(engine: AsyncEngine) -> None:
    """A refresh that found nothing new appends nothing."""
    await feeding.append(engine, [])

    assert await stored.count(engine, "events") == 0


async def test_same_event_twice_is_refused(engine: AsyncEngine) -> None:
    """An event's id follows from what it states, and stands for one row for ever."""
    await feeding.append(engine, feeding.step_events(1))

    with pytest.raises(IntegrityError, match="events_id_key"):
        await feeding.append(engine, feeding.step_events(1), after_sequence=1)

    assert await stored.count(engine, "events") == 1


async def test_same_sequence_twice_is_refused(engine: AsyncEngine) -> None:
    """A writer that had not locked its flow cannot put two events in one place of its order."""
    first, second = feeding.step_events(2)
    await feeding.append(engine, [first])

    with pytest.raises(IntegrityError, match="events_app_subject_sequence_key"):
        await feeding.append(engine, [second])

    assert await stored.count(engine, "events") == 1


async def test_feed_begins_empty(engine: AsyncEngine) -> None:
    """A new database has a feed with an epoch of its own, and nothing in it."""
    found = await state(engine)

    assert (found.last_position, found.expired_position) == (0, 0)
    assert found.epoch != UUID(int=0)
    assert await stamp(engine) == 0
    assert await state(engine) == found


async def test_events_get_dense_places_in_their_order(engine: AsyncEngine) -> None:
    """Places are 1, 2, 3, … in the order of writing, a bounded number at a time."""
    await feeding.append(engine, feeding.step_events(3))
    await feeding.append(engine, feeding.step_events(2, flow_id="flow-2"))

    stamped = [await stamp(engine, limit=2) for _ in range(4)]

    assert stamped == [2, 2, 1, 0]
    assert [(event.position, event.subject, event.sequence) for event in await between(engine, 0, 5)] == [
        (1, "flow/flow-1", 1),
        (2, "flow/flow-1", 2),
        (3, "flow/flow-1", 3),
        (4, "flow/flow-2", 1),
        (5, "flow/flow-2", 2),
    ]
    assert (await state(engine)).last_position == 5


async def test_event_committed_late_comes_later(engine: AsyncEngine) -> None:
    """A transaction that was slow to commit is not skipped, although its rows are older than some with a place."""
    async with engine.connect() as slow:
        await event_rows.append(slow, feeding.step_events(1), after_sequence=0)
        await feeding.feed(engine, feeding.step_events(1, flow_id="flow-2"))
        await slow.commit()

    assert await stamp(engine) == 1
    assert [event.subject for event in await between(engine, 0, 2)] == ["flow/flow-2", "flow/flow-1"]


async def test_transaction_rolled_back_leaves_no_gap(engine: AsyncEngine) -> None:
    """Numbers are given after the commit, so that what was never committed takes none."""
    async with engine.connect() as doomed:
        await event_rows.append(doomed, feeding.step_events(2), after_sequence=0)
        await doomed.rollback()
    await feeding.feed(engine, feeding.step_events(2, flow_id="flow-2"))

    assert [event.position for event in await between(engine, 0, 9)] == [1, 2]


async def test_one_process_sequences_at_a_time(engine: AsyncEngine) -> None:
    """While one gives places the others go home at once; a sequencer that dies leaves nothing half done."""
    await feeding.append(engine, feeding.step_events(2))

    async with engine.connect() as first:
        during_first = await event_rows.stamp(first, limit=10)
        positions = during_first and during_first.positions
        async with asyncio.timeout(4):
            beside_it = await stamp(engine)
        await first.rollback()

    assert (positions, beside_it) == (range(1, 3), 0)
    assert await addresses(engine) == {}
    assert await stamp(engine) == 2


async def test_gateway_in_another_schema_does_not_stop_the_sequencer(engine: AsyncEngine) -> None:
    """Several gateways may share a database, each in its own schema; each has a sequencer of its own."""
    await feeding.append(engine, feeding.step_events(2))
    await stored.execute(engine, "CREATE SCHEMA other")

    async with engine.connect() as neighbour:
        await neighbour.execute(text("SET LOCAL search_path TO other"))
        await event_rows.hold_off_sequencer(neighbour)
        stamped = await stamp(engine)

    assert stamped == 2


async def test_sequencer_leaves_the_feed_row_alone(engine: AsyncEngine) -> None:
    """A row that every pass rewrote would grow a tail of dead versions behind a transaction that stays open."""
    before = await stored.row(engine, "SELECT ctid::text, xmin::text FROM feed")
    for number in range(3):
        await feeding.feed(engine, feeding.step_events(1, flow_id=f"flow-{number}"))

    assert await stored.row(engine, "SELECT ctid::text, xmin::text FROM feed") == before
    assert (await state(engine)).last_position == 3


async def test_feed_holds_under_fire(engine: AsyncEngine) -> None:
    """Eight writers and three sequencers at once: every event once, dense, in its flow's order, never moved."""
    is_written = asyncio.Event()

    async def write(number: int) -> None:
        flow_id = f"flow-{number}"
        for index, event in enumerate(feeding.step_events(ROUNDS, flow_id=flow_id)):
            await feeding.append(engine, [event], after_sequence=index)

    async def sequence() -> None:
        known: dict[int, int] = {}
        while not is_written.is_set():
            await stamp(engine, limit=5)
            now = await addresses(engine)
            assert known.items() <= now.items()
            known = now

    async with asyncio.timeout(60), asyncio.TaskGroup() as sequencers:
        for _ in range(3):
            sequencers.create_task(sequence())
        await asyncio.gather(*(write(number) for number in range(WRITERS)))
        is_written.set()
    await stamp(engine)

    total = WRITERS * ROUNDS
    feed = await between(engine, 0, total)
    assert [event.position for event in feed] == list(range(1, total + 1))
    assert (await state(engine)).last_position == total
    assert len({event.id for event in feed}) == total
    for number in range(WRITERS):
        own = [event.sequence for event in feed if event.subject == f"flow/flow-{number}"]
        assert own == list(range(1, ROUNDS + 1))


async def test_stretch_of_the_feed_is_bounded_on_all_sides(engine: AsyncEngine) -> None:
    """After one place, up to another, of the wanted types, and not too many."""
    await feeding.append(engine, feeding.step_events(3))
    await feeding.append(engine, feeding.verdict_events(Verdict.FLAGGED, Verdict.CLEARED))
    await stamp(engine)

    stretches = [
        await between(engine, 1, 4),
        await between(engine, 0, 5, limit=2),
        await between(engine, 0, 5, types=(events.CHECK_FLAGGED, events.CHECK_CLEARED)),
        await between(engine, 0, 5, types=()),
        await between(engine, 5, 5),
    ]

    assert [[event.position for event in scan] for scan in stretches] == [[2, 3, 4], [1, 2], [4, 5], [], []]


async def test_events_without_a_place_are_not_in_the_feed(engine: AsyncEngine) -> None:
    """A reader sees them only once they can never come before what it has read."""
    await feeding.append(engine, feeding.step_events(2))

    assert await between(engine, 0, 2**63 - 1) == []
    assert [event.sequence for event in await about(engine, "flow/flow-1")] == [1, 2]


async def test_subject_has_its_own_events_only(engine: AsyncEngine) -> None:
    """Those of the same id in another app, or of another kind, are another subject's."""
    at: datetime = NOW
    elsewhere = FlowFacts(app="eu", flow_id="flow-1", reference=None, user_id=None)
    await feeding.append(engine, feeding.step_events(2))
    await feeding.append(engine, [flow_events.flow_completed(elsewhere, at)])
    await feeding.append(engine, [flow_events.id_verified(UserFacts(app="default", user_id="flow-1"), at)])

    found = await about(engine, "flow/flow-1")

    assert [(event.app, event.sequence) for event in found] == [("default", 1), ("default", 2)]
