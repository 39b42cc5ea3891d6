"""Publish the feed to a broker."""

import asyncio
from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.brokers.publish_feed import publish_feed
from app.errors import BrokerUnavailableError
from app.flows.rules.verdict import Verdict
from tests.all_inputs import LEASE, AllInputs, HandClock
from tests.brokers.memory_broker import MemoryBroker
from tests.dots.fake_dots import NOW
from tests.feed import feeding
from tests.feed.feeding import step_events, verdict_events
from tests.storage import stored

OFFSET = "SELECT * FROM broker_offsets"


async def offset(inputs: AllInputs) -> dict[str, Any]:
    """The only broker's row."""
    return await stored.row(inputs.engine, OFFSET)


def counted(inputs: AllInputs, name: str, **labels: str) -> float:
    """A counter's value."""
    return inputs.telemetry.registry.get_sample_value(name, labels) or 0


async def test_all_events_are_published_in_feed_order(inputs: AllInputs) -> None:
    """Bounded passes publish every event from the earliest on, including compliance events."""
    broker = MemoryBroker()
    await feeding.feed(inputs.engine, step_events(3))
    await feeding.feed(inputs.engine, verdict_events(Verdict.CLEARED, Verdict.FLAGGED))

    passes = [await publish_feed(inputs, broker, limit=2) for _ in range(4)]

    assert passes == [2, 2, 1, 0]
    assert broker.positions == [1, 2, 3, 4, 5]
    assert (await offset(inputs))["position"] == 5
    assert counted(inputs, "dots_gateway_published_total", outcome="confirmed") == 5


async def test_event_waits_for_earlier_events_of_its_subject(inputs: AllInputs) -> None:
    """Subjects are published concurrently, each one event at a time."""
    broker = MemoryBroker()
    await feeding.feed(inputs.engine, step_events(3, flow_id="a"))
    await feeding.feed(inputs.engine, step_events(3, flow_id="b"))
    broker.is_open.clear()
    publishing = asyncio.create_task(publish_feed(inputs, broker, limit=10))
    while len(broker.attempted) < 2:  # noqa: ASYNC110  # the fake has no event to wait for
        await asyncio.sleep(0)
    attempted_at_first = [(event.subject, event.sequence) for event in broker.attempted]
    broker.is_open.set()
    await publishing

    assert attempted_at_first == [("flow/a", 1), ("flow/b", 1)]
    assert broker.sequences_of("flow/a") == [1, 2, 3]
    assert broker.sequences_of("flow/b") == [1, 2, 3]


async def test_new_broker_begins_at_the_earliest_event(inputs: AllInputs) -> None:
    """Each broker has its own offset, so a second broker gets every event too."""
    first, second = MemoryBroker("memory://one"), MemoryBroker("memory://two")
    await feeding.feed(inputs.engine, step_events(2))
    await publish_feed(inputs, first, limit=10)
    await feeding.feed(inputs.engine, step_events(3)[2:], after_sequence=2)

    await publish_feed(inputs, second, limit=10)

    assert first.positions == [1, 2]
    assert second.positions == [1, 2, 3]


async def test_crash_before_the_cursor_moves_publishes_again(inputs: AllInputs, clock: HandClock) -> None:
    """After the lease has ended, another process publishes the same ids again and loses none."""
    broker = MemoryBroker()
    await feeding.feed(inputs.engine, step_events(3))
    dying = asyncio.create_task(publish_feed(inputs, broker, limit=10))
    broker.before_confirming = lambda event: dying.cancel() if event.sequence == 3 else None
    with pytest.raises(asyncio.CancelledError):
        await dying
    broker.before_confirming = lambda _event: None
    while_leased = await publish_feed(inputs, broker, limit=10)
    clock.advance(LEASE)

    later = await publish_feed(inputs, broker, limit=10)

    assert (while_leased, later) == (0, 3)
    assert broker.positions[-3:] == [1, 2, 3]
    assert broker.sequences_of("flow/flow-1") == [1, 2, 3]
    assert len({event.id for event in broker.confirmed}) == 3


async def test_one_process_publishes_at_a_time(inputs: AllInputs) -> None:
    """A second process publishes nothing meanwhile, and does not wait."""
    broker, other = MemoryBroker(), MemoryBroker()
    await feeding.feed(inputs.engine, step_events(2))
    broker.is_open.clear()
    publishing = asyncio.create_task(publish_feed(inputs, broker, limit=10))
    while not broker.attempted:  # noqa: ASYNC110  # the fake has no event to wait for
        await asyncio.sleep(0)

    meanwhile = await publish_feed(inputs, other, limit=10)
    broker.is_open.set()

    assert (meanwhile, await publishing) == (0, 2)
    assert other.attempted == []


async def test_lost_lease_moves_no_cursor(inputs: AllInputs, clock: HandClock) -> None:
    """A process whose lease has ended does not overwrite the offset of its successor."""
    slow, fast = MemoryBroker(), MemoryBroker()
    await feeding.feed(inputs.engine, step_events(2))
    slow.is_open.clear()
    sleeping = asyncio.create_task(publish_feed(inputs, slow, limit=1))
    while not slow.attempted:  # noqa: ASYNC110  # the fake has no event to wait for
        await asyncio.sleep(0)
    clock.advance(LEASE)
    overtaking = await publish_feed(inputs, fast, limit=10)
    slow.is_open.set()

    late = await sleeping

    assert (overtaking, late) == (2, 0)
    assert (await offset(inputs))["position"] == 2


async def test_failure_keeps_confirmed_events(inputs: AllInputs) -> None:
    """After a failure the cursor is after the confirmed events, the lease is free, and the error is stored."""
    broker = MemoryBroker()
    await feeding.feed(inputs.engine, step_events(5))
    broker.fails_at = lambda event: event.sequence == 4

    with pytest.raises(BrokerUnavailableError):
        await publish_feed(inputs, broker, limit=10)
    failed = await offset(inputs)
    broker.fails_at = lambda _event: False
    count = await publish_feed(inputs, broker, limit=10)

    assert failed["position"] == 3
    assert failed["lease_token"] is None
    assert failed["failing_since"] == NOW
    assert failed["last_error"] == "The broker is gone. (ConnectionResetError)"
    assert count == 2
    assert broker.positions == [1, 2, 3, 4, 5]
    assert (await offset(inputs))["failing_since"] is None
    assert (await offset(inputs))["last_error"] is None
    assert counted(inputs, "dots_gateway_published_total", outcome="failed") == 1


async def test_cursor_never_passes_a_gap(inputs: AllInputs) -> None:
    """Events of other subjects confirmed after the failed event are published again with the same ids."""
    broker = MemoryBroker()
    for flow in "abc":
        await feeding.feed(inputs.engine, step_events(1, flow_id=flow))
    broker.fails_at = lambda event: event.subject == "flow/b"
    broker.held["flow/b"] = asyncio.Event()
    publishing = asyncio.create_task(publish_feed(inputs, broker, limit=10))
    while len(broker.confirmed) < 2:  # noqa: ASYNC110  # the fake has no event to wait for
        await asyncio.sleep(0)
    broker.held["flow/b"].set()
    with pytest.raises(BrokerUnavailableError):
        await publishing
    position = (await offset(inputs))["position"]
    broker.fails_at = lambda _event: False

    await publish_feed(inputs, broker, limit=10)

    assert position == 1
    assert [event.subject for event in broker.confirmed] == ["flow/a", "flow/c", "flow/b", "flow/c"]
    assert len({event.id for event in broker.confirmed}) == 3


async def test_failure_stops_the_batch(inputs: AllInputs) -> None:
    """No event is attempted after a failure, neither of the same subject nor of others."""
    broker = MemoryBroker()
    await feeding.feed(inputs.engine, step_events(3, flow_id="a"))
    await feeding.feed(inputs.engine, step_events(3, flow_id="b"))
    broker.fails_at = lambda event: event.sequence == 2

    with pytest.raises(BrokerUnavailableError):
        await publish_feed(inputs, broker, limit=10)

    assert [(event.subject, event.sequence) for event in broker.attempted] == [("flow/a", 1), ("flow/a", 2)]


async def test_outage_of_days_is_caught_up_in_order(inputs: AllInputs, clock: HandClock) -> None:
    """After an outage every event is published once, in order. `failing_since` is the start of the outage."""
    broker = MemoryBroker()
    broker.fails_at = lambda _event: True
    for day in range(3):
        await feeding.feed(inputs.engine, step_events(4 * day + 4)[4 * day :], after_sequence=4 * day)
        with pytest.raises(BrokerUnavailableError):
            await publish_feed(inputs, broker, limit=5)
        clock.advance(timedelta(days=1))
    failing_since = (await offset(inputs))["failing_since"]
    broker.fails_at = lambda _event: False
    while await publish_feed(inputs, broker, limit=5):
        pass

    assert failing_since == NOW
    assert broker.positions == list(range(1, 13))


async def test_slow_broker_ends_the_pass_in_time(inputs: AllInputs, clock: HandClock) -> None:
    """A pass saves its progress long before the lease ends, and the next pass continues."""
    broker = MemoryBroker()
    await feeding.feed(inputs.engine, step_events(5))
    broker.before_confirming = lambda _event: clock.advance(LEASE / 5)

    passes = [await publish_feed(inputs, broker, limit=10) for _ in range(2)]

    assert passes == [3, 2]
    assert broker.positions == [1, 2, 3, 4, 5]


async def test_new_epoch_publishes_from_the_start(inputs: AllInputs, logs: list[MutableMapping[str, Any]]) -> None:
    """After a restore, old positions are meaningless: every stored event is published, and a warning is logged."""
    broker = MemoryBroker()
    await feeding.feed(inputs.engine, step_events(3))
    await publish_feed(inputs, broker, limit=10)
    epoch = uuid4()
    await stored.execute(inputs.engine, "UPDATE feed SET epoch = :epoch", epoch=epoch)

    count = await publish_feed(inputs, broker, limit=10)

    assert count == 3
    assert broker.positions == [1, 2, 3, 1, 2, 3]
    assert (await offset(inputs))["epoch"] == epoch
    assert [(log["event"], log["reason"]) for log in logs] == [
        ("publishing from the earliest event kept", "other_epoch")
    ]
    assert counted(inputs, "dots_gateway_broker_restarts_total", reason="other_epoch") == 1


async def test_expired_cursor_continues_at_the_earliest_event(
    inputs: AllInputs, logs: list[MutableMapping[str, Any]]
) -> None:
    """If events expired during an outage, the warning has the number of missed events."""
    broker = MemoryBroker()
    await feeding.feed(inputs.engine, step_events(1))
    await publish_feed(inputs, broker, limit=10)
    await feeding.feed(inputs.engine, step_events(5)[1:], after_sequence=1)
    await stored.execute(
        inputs.engine, "DELETE FROM events WHERE position <= 3", "UPDATE feed SET expired_position = 3"
    )

    count = await publish_feed(inputs, broker, limit=10)

    assert count == 2
    assert broker.positions == [1, 4, 5]
    assert [(log["reason"], log["events_missed"]) for log in logs] == [("expired", 2)]
    assert counted(inputs, "dots_gateway_broker_restarts_total", reason="expired") == 1


async def test_empty_feed_does_not_use_the_broker(inputs: AllInputs) -> None:
    """Without events nothing is published. In a restored, empty feed the cursor is reset once."""
    broker = MemoryBroker()
    at_first = await publish_feed(inputs, broker, limit=10)
    await stored.execute(inputs.engine, "UPDATE feed SET epoch = gen_random_uuid()")

    restored = [await publish_feed(inputs, broker, limit=10) for _ in range(2)]

    assert (at_first, restored) == (0, [0, 0])
    assert counted(inputs, "dots_gateway_broker_restarts_total", reason="other_epoch") == 1
    assert broker.attempted == []
