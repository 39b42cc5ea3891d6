import pytest

from app.feed import event_rows
from app.feed import sequence_events as sequencing
from app.feed.sequence_events import sequence_events
from app.storage import notifications
from app.storage.scan_floor import ScanFloor
from app.subscriptions import delivery_rows
from tests.all_inputs import AllInputs
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.stack.waiting import eventually
from tests.storage import stored


async def test_pass_is_bounded_and_counted(inputs: AllInputs) -> None:
    """A pass numbers up to `limit` events, oldest first. The metric counts them."""
    await feeding.append(inputs.engine, step_events(5))

    passes = [await sequence_events(inputs, delivery_rows, limit=2) for _ in range(4)]

    numbered = await stored.rows(inputs.engine, "SELECT position, data->>'step' AS step FROM events ORDER BY position")
    assert passes == [2, 2, 1, 0]
    assert [tuple(row.values()) for row in numbered] == [(number, f"step-{number}") for number in range(1, 6)]
    assert inputs.telemetry.registry.get_sample_value("dots_gateway_events_sequenced_total") == 5


async def test_pass_notifies_readers_only_of_new_positions(inputs: AllInputs) -> None:
    """A pass that numbers no event sends no notification."""
    notification = inputs.notifications.next(notifications.FEED)
    await sequence_events(inputs, delivery_rows, limit=10)
    was_notified_early = notification.is_set()
    await feeding.append(inputs.engine, step_events(1))
    await sequence_events(inputs, delivery_rows, limit=10)

    assert not was_notified_early
    assert notification.is_set()


async def test_late_commit_is_numbered_by_passes_with_a_floor(inputs: AllInputs) -> None:
    """A later pass numbers the events of a transaction that committed after newer events were numbered."""
    scan_floor = ScanFloor()
    async with inputs.engine.connect() as slow:
        await event_rows.append(slow, step_events(1), after_sequence=0)
        await feeding.append(inputs.engine, step_events(1, flow_id="flow-2"))
        first = await sequence_events(inputs, delivery_rows, limit=10, scan_floor=scan_floor)
        await slow.commit()

    async def is_stamped() -> bool:
        return await sequence_events(inputs, delivery_rows, limit=10, scan_floor=scan_floor) == 1

    await eventually(is_stamped)
    assert first == 1
    assert (await feeding.state(inputs.engine)).last_position == 2


async def test_pass_creates_a_bounded_number_of_deliveries(inputs: AllInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """With many subscriptions a pass numbers fewer events, so its statement does not time out."""
    monkeypatch.setattr(sequencing, "DELIVERIES_LIMIT", 20)
    await stored.execute(
        inputs.engine,
        "INSERT INTO subscriptions (id, caller, url, types, with_compliance, created_at) "
        "SELECT gen_random_uuid(), 'shop', 'http://127.0.0.1:9', '{*}', false, now() FROM generate_series(1, 10)",
    )
    await feeding.append(inputs.engine, step_events(3))

    passes = [await sequence_events(inputs, delivery_rows, limit=1000) for _ in range(3)]

    assert passes == [2, 1, 0]
    assert await stored.count(inputs.engine, "deliveries") == 30
