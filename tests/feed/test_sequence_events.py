import asyncio

from app.feed import event_rows
from app.feed.sequence_events import sequence_events
from app.storage import notifications
from app.storage.scan_floor import ScanFloor
from app.subscriptions import delivery_rows
from tests.all_inputs import AllInputs
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.stack.waiting import eventually
from tests.storage import stored


async def test_pass_is_bounded_and_goes_on_where_it_was(inputs: AllInputs) -> None:
    """So many a pass, oldest first, and 0 when nothing is left."""
    await feeding.append(inputs.engine, step_events(5))

    passes = [await sequence_events(inputs, delivery_rows, limit=2) for _ in range(4)]

    places = await stored.rows(inputs.engine, "SELECT position, data->>'step' AS step FROM events ORDER BY position")
    assert passes == [2, 2, 1, 0]
    assert [tuple(row.values()) for row in places] == [(number, f"step-{number}") for number in range(1, 6)]


async def test_sequencers_at_once_leave_no_gap(inputs: AllInputs) -> None:
    """Of several sequencers one stamps at a time; the places are dense and each is given once."""
    for number in range(20):
        await feeding.append(inputs.engine, step_events(3, flow_id=f"flow-{number}"))
    while sum(await asyncio.gather(*(sequence_events(inputs, delivery_rows, limit=7) for _ in range(3)))):
        pass

    places = await stored.rows(inputs.engine, "SELECT position FROM events ORDER BY position")
    assert [row["position"] for row in places] == list(range(1, 61))
    assert inputs.telemetry.registry.get_sample_value("dots_gateway_events_sequenced_total") == 60


async def test_readers_are_woken_only_by_new_places(inputs: AllInputs) -> None:
    """A pass without work gives no hint."""
    idle_notification = inputs.notifications.next(notifications.FEED)
    await sequence_events(inputs, delivery_rows, limit=10)
    was_woken_by_nothing = idle_notification.is_set()
    await feeding.append(inputs.engine, step_events(1))
    await sequence_events(inputs, delivery_rows, limit=10)

    assert not was_woken_by_nothing
    assert idle_notification.is_set()


async def test_event_that_commits_late_is_found_by_passes_that_keep_a_front(inputs: AllInputs) -> None:
    """A transaction that commits after others have been stamped gets its places from a later pass."""
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


async def test_pass_makes_a_bounded_number_of_deliveries(inputs: AllInputs) -> None:
    """With thousands of subscriptions a pass takes fewer events, and ends well before its statement times out."""
    await stored.execute(
        inputs.engine,
        "INSERT INTO subscriptions (id, caller, url, types, with_compliance, created_at) "
        "SELECT gen_random_uuid(), 'shop', 'http://127.0.0.1:9', '{*}', false, now() FROM generate_series(1, 5000)",
    )
    await feeding.append(inputs.engine, step_events(3))

    passes = [await sequence_events(inputs, delivery_rows, limit=1000) for _ in range(3)]

    assert passes == [2, 1, 0]
    assert await stored.count(inputs.engine, "deliveries") == 15_000
