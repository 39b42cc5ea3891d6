"""Publish past events again."""

from datetime import timedelta

import pytest

from app.brokers import replay_events
from app.brokers.publish_feed import publish_feed
from app.errors import BrokerUnavailableError, CursorOfOtherEpochError
from app.feed import cursor as cursors
from app.feed import read_feed
from app.feed.cursor import Cursor
from tests.all_inputs import AllInputs
from tests.brokers.memory_broker import MemoryBroker
from tests.dots.fake_dots import NOW
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.storage import stored

OFFSET = "SELECT position, lease_token FROM broker_offsets"


async def cursor_at(inputs: AllInputs, position: int) -> Cursor:
    """The feed's cursor at this position."""
    return Cursor(epoch=(await read_feed.latest(inputs.engine)).epoch, position=position)


async def test_events_after_a_cursor_are_published_again(inputs: AllInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replay publishes in feed order, in batches, and does not change the broker's own offset."""
    monkeypatch.setattr(replay_events, "BATCH", 2)
    broker = MemoryBroker()
    await feeding.feed(inputs.engine, step_events(6))
    await publish_feed(inputs, broker, limit=4)

    count = await replay_events.replay(inputs, broker, start=await cursor_at(inputs, 1))

    assert count == 5
    assert broker.positions == [1, 2, 3, 4, 2, 3, 4, 5, 6]
    assert await stored.rows(inputs.engine, OFFSET) == [{"position": 4, "lease_token": None}]


async def test_replay_from_a_time(inputs: AllInputs) -> None:
    """Replay includes events at exactly that time. After the last event there is nothing to publish."""
    broker = MemoryBroker()
    await feeding.feed(inputs.engine, step_events(2, flow_id="old"))
    await feeding.feed(inputs.engine, step_events(2, flow_id="new", at=NOW + timedelta(hours=1)))

    since = await replay_events.replay(inputs, broker, start=NOW + timedelta(hours=1))
    beyond = await replay_events.replay(inputs, broker, start=NOW + timedelta(hours=2))

    assert (since, beyond) == (2, 0)
    assert broker.positions == [3, 4]


async def test_failure_names_the_cursor_to_continue_from(inputs: AllInputs) -> None:
    """The cursor in the error is after the last confirmed event."""
    broker = MemoryBroker()
    await feeding.feed(inputs.engine, step_events(4))
    broker.fails_at = lambda event: event.position == 3

    with pytest.raises(BrokerUnavailableError) as caught:
        await replay_events.replay(inputs, broker, start=await cursor_at(inputs, 0))

    assert "2 event(s) were published" in caught.value.detail
    assert cursors.parse(caught.value.detail.split()[-1]) == await cursor_at(inputs, 2)


async def test_cursor_of_another_epoch_is_refused(inputs: AllInputs) -> None:
    """Its position would mean other events."""
    other = Cursor(epoch=inputs.new_uuid(), position=0)

    with pytest.raises(CursorOfOtherEpochError):
        await replay_events.replay(inputs, MemoryBroker(), start=other)
