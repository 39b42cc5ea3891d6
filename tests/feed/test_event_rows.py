"""Rows of events and their positions."""

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
NUMBERED = "SELECT row_id, position FROM events WHERE position IS NOT NULL"


async def between(
    engine: AsyncEngine, after: int, up_to: int, *, types: tuple[str, ...] = events.TYPES, limit: int = 1000
) -> list[EventRecord]:
    """The events in a range of positions."""
    async with database.transaction(engine) as connection:
        return await event_rows.between(connection, after=after, up_to=up_to, types=types, limit=limit)


async def about(engine: AsyncEngine, subject: str) -> list[EventRecord]:
    """The events of a subject."""
    async with database.transaction(engine) as connection:
        return await event_rows.about(connection, "default", subject, limit=100)


async def positions_by_row(engine: AsyncEngine) -> dict[int, int]:
    """The position of each numbered event."""
    return {row["row_id"]: row["position"] for row in await stored.rows(engine, NUMBERED)}


async def test_event_is_read_as_appended(engine: AsyncEngine) -> None:
    """Every field is stored. The position is None until the event is numbered."""
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


async def test_no_events_append_no_rows(engine: AsyncEngine) -> None:
    """A refresh without changes appends no events."""
    await feeding.append(engine, [])

    assert await stored.count(engine, "events") == 0


async def test_same_event_twice_is_refused(engine: AsyncEngine) -> None:
    """An id is unique, so the same fact is stored once."""
    await feeding.append(engine, feeding.step_events(1))

    with pytest.raises(IntegrityError, match="events_id_key"):
        await feeding.append(engine, feeding.step_events(1), after_sequence=1)

    assert await stored.count(engine, "events") == 1


async def test_same_sequence_twice_is_refused(engine: AsyncEngine) -> None:
    """A writer without the lock of its flow cannot repeat a sequence."""
    first, second = feeding.step_events(2)
    await feeding.append(engine, [first])

    with pytest.raises(IntegrityError, match="events_app_subject_sequence_key"):
        await feeding.append(engine, [second])

    assert await stored.count(engine, "events") == 1


async def test_new_feed_is_empty(engine: AsyncEngine) -> None:
    """A new database has an empty feed with its own epoch."""
    found = await state(engine)

    assert (found.last_position, found.expired_position) == (0, 0)
    assert found.epoch != UUID(int=0)
    assert await stamp(engine) == 0
    assert await state(engine) == found


async def test_events_get_dense_positions_in_order(engine: AsyncEngine) -> None:
    """Positions are 1, 2, 3, … in insertion order. Each pass numbers a bounded number."""
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


async def test_late_commit_gets_a_later_position(engine: AsyncEngine) -> None:
    """Events of a slow transaction are numbered although newer rows already have positions."""
    async with engine.connect() as slow:
        await event_rows.append(slow, feeding.step_events(1), after_sequence=0)
        await feeding.feed(engine, feeding.step_events(1, flow_id="flow-2"))
        await slow.commit()

    assert await stamp(engine) == 1
    assert [event.subject for event in await between(engine, 0, 2)] == ["flow/flow-2", "flow/flow-1"]


async def test_rollback_leaves_no_gap(engine: AsyncEngine) -> None:
    """Positions are given after the commit, so a rollback uses none."""
    async with engine.connect() as doomed:
        await event_rows.append(doomed, feeding.step_events(2), after_sequence=0)
        await doomed.rollback()
    await feeding.feed(engine, feeding.step_events(2, flow_id="flow-2"))

    assert [event.position for event in await between(engine, 0, 9)] == [1, 2]


async def test_one_process_numbers_at_a_time(engine: AsyncEngine) -> None:
    """Other processes return immediately. A sequencer that dies leaves no positions."""
    await feeding.append(engine, feeding.step_events(2))

    async with engine.connect() as first:
        during_first = await event_rows.stamp(first, limit=10)
        positions = during_first and during_first.positions
        async with asyncio.timeout(4):
            meanwhile = await stamp(engine)
        await first.rollback()

    assert (positions, meanwhile) == (range(1, 3), 0)
    assert await positions_by_row(engine) == {}
    assert await stamp(engine) == 2


async def test_gateway_in_another_schema_does_not_stop_the_sequencer(engine: AsyncEngine) -> None:
    """Gateways in different schemas of one database have separate sequencer locks."""
    await feeding.append(engine, feeding.step_events(2))
    await stored.execute(engine, "CREATE SCHEMA other")

    async with engine.connect() as neighbour:
        await neighbour.execute(text("SET LOCAL search_path TO other"))
        await event_rows.hold_off_sequencer(neighbour)
        stamped = await stamp(engine)

    assert stamped == 2


async def test_numbering_does_not_update_the_feed_row(engine: AsyncEngine) -> None:
    """A row that every pass updates would collect dead versions while a transaction stays open."""
    before = await stored.row(engine, "SELECT ctid::text, xmin::text FROM feed")
    for number in range(3):
        await feeding.feed(engine, feeding.step_events(1, flow_id=f"flow-{number}"))

    assert await stored.row(engine, "SELECT ctid::text, xmin::text FROM feed") == before
    assert (await state(engine)).last_position == 3


async def test_concurrent_writers_and_sequencers_keep_the_feed_dense(engine: AsyncEngine) -> None:
    """With eight writers and three sequencers, positions are dense, in each flow's order, and never change."""
    is_written = asyncio.Event()

    async def write(number: int) -> None:
        flow_id = f"flow-{number}"
        for index, event in enumerate(feeding.step_events(ROUNDS, flow_id=flow_id)):
            await feeding.append(engine, [event], after_sequence=index)

    async def sequence() -> None:
        known: dict[int, int] = {}
        while not is_written.is_set():
            await stamp(engine, limit=5)
            now = await positions_by_row(engine)
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


async def test_range_of_the_feed(engine: AsyncEngine) -> None:
    """Events are selected by positions, types and limit."""
    await feeding.append(engine, feeding.step_events(3))
    await feeding.append(engine, feeding.verdict_events(Verdict.FLAGGED, Verdict.CLEARED))
    await stamp(engine)

    ranges = [
        await between(engine, 1, 4),
        await between(engine, 0, 5, limit=2),
        await between(engine, 0, 5, types=(events.CHECK_FLAGGED, events.CHECK_CLEARED)),
        await between(engine, 0, 5, types=()),
        await between(engine, 5, 5),
    ]

    assert [[event.position for event in found] for found in ranges] == [[2, 3, 4], [1, 2], [4, 5], [], []]


async def test_events_without_positions_are_not_in_the_feed(engine: AsyncEngine) -> None:
    """A reader must not see an event that could still get an earlier position."""
    await feeding.append(engine, feeding.step_events(2))

    assert await between(engine, 0, 2**63 - 1) == []
    assert [event.sequence for event in await about(engine, "flow/flow-1")] == [1, 2]


async def test_subject_has_only_its_own_events(engine: AsyncEngine) -> None:
    """The same id in another app or of another kind is another subject."""
    at: datetime = NOW
    elsewhere = FlowFacts(app="eu", flow_id="flow-1", reference=None, user_id=None)
    await feeding.append(engine, feeding.step_events(2))
    await feeding.append(engine, [flow_events.flow_completed(elsewhere, at)])
    await feeding.append(engine, [flow_events.id_verified(UserFacts(app="default", user_id="flow-1"), at)])

    found = await about(engine, "flow/flow-1")

    assert [(event.app, event.sequence) for event in found] == [("default", 1), ("default", 2)]
