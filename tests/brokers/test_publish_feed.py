"""The feed on its way to a broker."""

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

CURSOR = "SELECT * FROM broker_offsets"


async def cursor(inputs: AllInputs) -> dict[str, Any]:
    """The only broker's row."""
    return await stored.row(inputs.engine, CURSOR)


def counted(inputs: AllInputs, name: str, **labels: str) -> float:
    """A counter's value."""
    return inputs.telemetry.registry.get_sample_value(name, labels) or 0


async def test_everything_is_published_in_the_order_of_the_feed(inputs: AllInputs) -> None:
    """A bounded pass after the other, from the earliest event on, compliance events among them."""
    broker = MemoryBroker()
    await feeding.feed(inputs.engine, step_events(3))
    await feeding.feed(inputs.engine, verdict_events(Verdict.CLEARED, Verdict.FLAGGED))

    passes = [await publish_feed(inputs, broker, limit=2) for _ in range(4)]

    assert passes == [2, 2, 1, 0]
    assert broker.positions == [1, 2, 3, 4, 5]
    assert (await cursor(inputs))["position"] == 5
    assert counted(inputs, "dots_gateway_published_total", outcome="confirmed") == 5


async def test_a_subjects_event_waits_for_the_earlier_ones(inputs: AllInputs) -> None:
    """Subjects are published side by side, each one event at a time."""
    broker = MemoryBroker()
    await feeding.feed(inputs.engine, step_events(3, flow_id="a"))
    await feeding.feed(inputs.engine, step_events(3, flow_id="b"))
    broker.is_open.clear()
    publishing = asyncio.create_task(publish_feed(inputs, broker, limit=10))
    while len(broker.asked) < 2:  # noqa: ASYNC110  # the broker has nothing to be waited for on
        await asyncio.sleep(0)
    asked_at_first = [(event.subject, event.sequence) for event in broker.asked]
    broker.is_open.set()
    await publishing

    assert asked_at_first == [("flow/a", 1), ("flow/b", 1)]
    assert broker.of("flow/a") == [1, 2, 3]
    assert broker.of("flow/b") == [1, 2, 3]


async def test_a_broker_that_is_new_begins_at_the_earliest_event(inputs: AllInputs) -> None:
    """Each broker has its own cursor, and a second one gets everything too."""
    first, second = MemoryBroker("memory://one"), MemoryBroker("memory://two")
    await feeding.feed(inputs.engine, step_events(2))
    await publish_feed(inputs, first, limit=10)
    await feeding.feed(inputs.engine, step_events(3)[2:], after_sequence=2)

    await publish_feed(inputs, second, limit=10)

    assert first.positions == [1, 2]
    assert second.positions == [1, 2, 3]


async def test_dying_between_publishing_and_the_cursor_publishes_again(inputs: AllInputs, clock: HandClock) -> None:
    """Whoever comes when the lease has ended sends the same ids once more, and loses nothing."""
    broker = MemoryBroker()
    await feeding.feed(inputs.engine, step_events(3))
    dying = asyncio.create_task(publish_feed(inputs, broker, limit=10))
    broker.meanwhile = lambda event: dying.cancel() if event.sequence == 3 else None
    with pytest.raises(asyncio.CancelledError):
        await dying
    broker.meanwhile = lambda _event: None
    while_leased = await publish_feed(inputs, broker, limit=10)
    clock.advance(LEASE)

    later = await publish_feed(inputs, broker, limit=10)

    assert (while_leased, later) == (0, 3)
    assert broker.positions[-3:] == [1, 2, 3]
    assert broker.of("flow/flow-1") == [1, 2, 3]
    assert len({event.id for event in broker.kept}) == 3


async def test_only_one_process_publishes_at_a_time(inputs: AllInputs) -> None:
    """A second one that comes meanwhile finds nothing to do, and does not wait."""
    broker, other = MemoryBroker(), MemoryBroker()
    await feeding.feed(inputs.engine, step_events(2))
    broker.is_open.clear()
    publishing = asyncio.create_task(publish_feed(inputs, broker, limit=10))
    while not broker.asked:  # noqa: ASYNC110  # the broker has nothing to be waited for on
        await asyncio.sleep(0)

    meanwhile = await publish_feed(inputs, other, limit=10)
    broker.is_open.set()

    assert (meanwhile, await publishing) == (0, 2)
    assert other.asked == []


async def test_a_lost_lease_moves_no_cursor(inputs: AllInputs, clock: HandClock) -> None:
    """A process that was asleep for too long comes back to find its place taken, and changes nothing."""
    slow, fast = MemoryBroker(), MemoryBroker()
    await feeding.feed(inputs.engine, step_events(2))
    slow.is_open.clear()
    sleeping = asyncio.create_task(publish_feed(inputs, slow, limit=1))
    while not slow.asked:  # noqa: ASYNC110  # the broker has nothing to be waited for on
        await asyncio.sleep(0)
    clock.advance(LEASE)
    overtaking = await publish_feed(inputs, fast, limit=10)
    slow.is_open.set()

    late = await sleeping

    assert (overtaking, late) == (2, 0)
    assert (await cursor(inputs))["position"] == 2


async def test_a_failure_keeps_what_was_confirmed_before_it(inputs: AllInputs) -> None:
    """The cursor moves behind the confirmed beginning, the lease is free at once, and the failure is on record."""
    broker = MemoryBroker()
    await feeding.feed(inputs.engine, step_events(5))
    broker.fails_at = lambda event: event.sequence == 4

    with pytest.raises(BrokerUnavailableError):
        await publish_feed(inputs, broker, limit=10)
    failed = await cursor(inputs)
    broker.fails_at = lambda _event: False
    count = await publish_feed(inputs, broker, limit=10)

    assert failed["position"] == 3
    assert failed["lease_token"] is None
    assert failed["failing_since"] == NOW
    assert failed["last_error"] == "It is gone. (ConnectionResetError)"
    assert count == 2
    assert broker.positions == [1, 2, 3, 4, 5]
    assert (await cursor(inputs))["failing_since"] is None
    assert (await cursor(inputs))["last_error"] is None
    assert counted(inputs, "dots_gateway_published_total", outcome="failed") == 1


async def test_a_cursor_never_passes_a_gap(inputs: AllInputs) -> None:
    """What another subject had confirmed behind the failure is sent again, with the same id."""
    broker = MemoryBroker()
    for flow in "abc":
        await feeding.feed(inputs.engine, step_events(1, flow_id=flow))
    broker.fails_at = lambda event: event.subject == "flow/b"
    broker.held["flow/b"] = asyncio.Event()
    publishing = asyncio.create_task(publish_feed(inputs, broker, limit=10))
    while len(broker.kept) < 2:  # noqa: ASYNC110  # the broker has nothing to be waited for on
        await asyncio.sleep(0)
    broker.held["flow/b"].set()
    with pytest.raises(BrokerUnavailableError):
        await publishing
    position = (await cursor(inputs))["position"]
    broker.fails_at = lambda _event: False

    await publish_feed(inputs, broker, limit=10)

    assert position == 1
    assert [event.subject for event in broker.kept] == ["flow/a", "flow/c", "flow/b", "flow/c"]
    assert len({event.id for event in broker.kept}) == 3


async def test_nothing_is_begun_after_a_failure(inputs: AllInputs) -> None:
    """Not of the subject, or a later event would overtake the one that failed; nor of others, at a broken broker."""
    broker = MemoryBroker()
    await feeding.feed(inputs.engine, step_events(3, flow_id="a"))
    await feeding.feed(inputs.engine, step_events(3, flow_id="b"))
    broker.fails_at = lambda event: event.sequence == 2

    with pytest.raises(BrokerUnavailableError):
        await publish_feed(inputs, broker, limit=10)

    assert [(event.subject, event.sequence) for event in broker.asked] == [("flow/a", 1), ("flow/a", 2)]


async def test_an_outage_of_days_is_caught_up_in_order(inputs: AllInputs, clock: HandClock) -> None:
    """The broker is down while events go on; then everything arrives, once, and since when it failed was known."""
    broker = MemoryBroker()
    broker.fails_at = lambda _event: True
    for day in range(3):
        await feeding.feed(inputs.engine, step_events(4 * day + 4)[4 * day :], after_sequence=4 * day)
        with pytest.raises(BrokerUnavailableError):
            await publish_feed(inputs, broker, limit=5)
        clock.advance(timedelta(days=1))
    failing_since = (await cursor(inputs))["failing_since"]
    broker.fails_at = lambda _event: False
    while await publish_feed(inputs, broker, limit=5):
        pass

    assert failing_since == NOW
    assert broker.positions == list(range(1, 13))


async def test_a_slow_broker_is_left_in_time(inputs: AllInputs, clock: HandClock) -> None:
    """Long before the lease ends a pass keeps what it has, and the next one goes on."""
    broker = MemoryBroker()
    await feeding.feed(inputs.engine, step_events(5))
    broker.meanwhile = lambda _event: clock.advance(LEASE / 5)

    passes = [await publish_feed(inputs, broker, limit=10) for _ in range(2)]

    assert passes == [3, 2]
    assert broker.positions == [1, 2, 3, 4, 5]


async def test_another_epoch_begins_again(inputs: AllInputs, logs: list[MutableMapping[str, Any]]) -> None:
    """After a restore positions mean something else: everything there is goes out, and it is said aloud."""
    broker = MemoryBroker()
    await feeding.feed(inputs.engine, step_events(3))
    await publish_feed(inputs, broker, limit=10)
    epoch = uuid4()
    await stored.execute(inputs.engine, "UPDATE feed SET epoch = :epoch", epoch=epoch)

    count = await publish_feed(inputs, broker, limit=10)

    assert count == 3
    assert broker.positions == [1, 2, 3, 1, 2, 3]
    assert (await cursor(inputs))["epoch"] == epoch
    assert [(log["event"], log["reason"]) for log in logs] == [
        ("publishing from the earliest event kept", "other_epoch")
    ]
    assert counted(inputs, "dots_gateway_broker_restarts_total", reason="other_epoch") == 1


async def test_an_expired_cursor_begins_at_the_earliest(
    inputs: AllInputs, logs: list[MutableMapping[str, Any]]
) -> None:
    """When events have expired before the broker came back, how many are missing is said aloud."""
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


async def test_an_empty_feed_costs_the_broker_nothing(inputs: AllInputs) -> None:
    """Without events nothing is claimed; in a restored, empty feed the cursor is set, once."""
    broker = MemoryBroker()
    at_first = await publish_feed(inputs, broker, limit=10)
    await stored.execute(inputs.engine, "UPDATE feed SET epoch = gen_random_uuid()")

    restored = [await publish_feed(inputs, broker, limit=10) for _ in range(2)]

    assert (at_first, restored) == (0, [0, 0])
    assert counted(inputs, "dots_gateway_broker_restarts_total", reason="other_epoch") == 1
    assert broker.asked == []
