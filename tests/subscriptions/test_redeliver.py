from datetime import timedelta

import pytest

from app.errors import DeliveryNotFoundError
from app.feed import events
from app.flows.rules.verdict import Verdict
from app.storage import notifications
from app.subscriptions import redeliver
from app.subscriptions.redeliver import Redelivery, RedeliveryRequest
from tests.all_inputs import AllInputs, HandClock
from tests.dots.fake_dots import NOW
from tests.feed import feeding
from tests.feed.feeding import step_events, verdict_events
from tests.storage import stored
from tests.subscriptions import subscriber
from tests.subscriptions.subscriber import Subscriber
from tests.subscriptions.subscribing import (
    deliver,
    deliveries,
    sequence,
    subscribe,
)

URL = "http://127.0.0.1:9/events"
HOUR = timedelta(hours=1)


def wanted_events(**fields: object) -> RedeliveryRequest:
    """A request for all events, with these fields changed."""
    whole: dict[str, object] = {"types": events.TYPES, "since": NOW}
    return RedeliveryRequest(**(whole | fields))  # type: ignore[arg-type]  # a test's own choice of fields


def counted(done: Redelivery) -> tuple[int, int, int]:
    """The numbers of repeated events, of new events and of subjects."""
    return done.count.again, done.count.fresh, done.count.subjects


def received_by(shop: Subscriber) -> list[tuple[str, int]]:
    """The events that a subscriber received, in order."""
    return [received.about for received in shop.received]


async def test_redelivered_event_has_the_same_id_and_body(inputs: AllInputs) -> None:
    """Only the requested event is sent again."""
    async with subscriber.listening() as shop:
        made = await subscribe(inputs, shop.url)
        await feeding.append(inputs.engine, step_events(3))
        await sequence(inputs)
        await deliver(inputs)
        notification = inputs.notifications.next(notifications.DELIVERABLE)
        await redeliver.redeliver_one(inputs, made.subscription.id, step_events(2)[1].id)
        was_notified = notification.is_set()
        await deliver(inputs)

    first, again = shop.received[1], shop.received[3]
    assert received_by(shop) == [("flow/flow-1", 1), ("flow/flow-1", 2), ("flow/flow-1", 3), ("flow/flow-1", 2)]
    assert (first.headers["webhook-id"], first.body) == (again.headers["webhook-id"], again.body)
    assert was_notified


async def test_redelivered_dead_event_gets_all_attempts(inputs: AllInputs) -> None:
    """The delivery starts with zero attempts, and its earlier attempts are kept."""
    is_down = True
    async with subscriber.listening(lambda _received: (500 if is_down else 204, {})) as shop:
        made = await subscribe(inputs, shop.url)
        await feeding.append(inputs.engine, step_events(1))
        await sequence(inputs)
        await stored.execute(inputs.engine, "UPDATE deliveries SET attempts = 9")
        await deliver(inputs)
        dead = await deliveries(inputs)
        await redeliver.redeliver_one(inputs, made.subscription.id, step_events(1)[0].id)
        pending = await deliveries(inputs)
        is_down = False
        await deliver(inputs)

    assert dead == [(1, "dead", 10, "status_500")]
    assert pending == [(1, "pending", 0, None)]
    assert await deliveries(inputs) == [(1, "delivered", 0, None)]
    assert await stored.count(inputs.engine, "delivery_attempts") == 2


async def test_event_outside_the_patterns_is_not_redelivered(inputs: AllInputs) -> None:
    """An event that the subscription never gets has no delivery."""
    made = await subscribe(inputs, URL, ["dots.user.*"])
    await feeding.append(inputs.engine, step_events(1))
    await sequence(inputs)

    with pytest.raises(DeliveryNotFoundError):
        await redeliver.redeliver_one(inputs, made.subscription.id, step_events(1)[0].id)


async def test_events_from_before_the_subscription_are_sent_in_order(inputs: AllInputs, clock: HandClock) -> None:
    """A new consumer gets earlier events of a flow before later ones."""
    await feeding.append(inputs.engine, step_events(2))
    await feeding.append(inputs.engine, step_events(1, flow_id="flow-2"))
    await sequence(inputs)
    clock.advance(HOUR)
    async with subscriber.listening() as shop:
        made = await subscribe(inputs, shop.url)
        await feeding.append(inputs.engine, step_events(3)[2:], after_sequence=2)
        await sequence(inputs)
        done = await redeliver.redeliver(inputs, made.subscription.id, wanted_events(), is_dry_run=False)
        await deliver(inputs)

    assert counted(done) == (0, 3, 2)
    assert [about for about in received_by(shop) if about[0] == "flow/flow-1"] == [
        ("flow/flow-1", n) for n in (1, 2, 3)
    ]
    assert ("flow/flow-2", 1) in received_by(shop)
    assert [row[1] for row in await deliveries(inputs)] == ["delivered"] * 4


async def test_pending_delivery_is_not_changed(inputs: AllInputs) -> None:
    """It keeps its attempts, so repeated requests do not retry it forever."""
    async with subscriber.listening(lambda _received: (500, {})) as shop:
        made = await subscribe(inputs, shop.url)
        await feeding.append(inputs.engine, step_events(1))
        await sequence(inputs)
        await deliver(inputs)
    done = await redeliver.redeliver(inputs, made.subscription.id, wanted_events(), is_dry_run=False)

    assert counted(done) == (0, 0, 0)
    assert await deliveries(inputs) == [(1, "pending", 1, "status_500")]


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (0, None, [1, 2, 3]),
        (1, None, [2, 3]),
        (0, 1, [1]),
        (1, 2, [2]),
        (3, None, []),
        (2, 1, []),
    ],
)
async def test_time_selects_by_event_time(
    inputs: AllInputs, since: int, until: int | None, expected: list[int]
) -> None:
    """`since` is inclusive and `until` exclusive. The time of the delivery does not count."""
    for number in range(3):
        await feeding.feed(inputs.engine, step_events(1, flow_id=f"flow-{number}", at=NOW + number * HOUR))
    made = await subscribe(inputs, URL)
    wanted = wanted_events(since=NOW + since * HOUR, until=None if until is None else NOW + until * HOUR)

    await redeliver.redeliver(inputs, made.subscription.id, wanted, is_dry_run=False)

    assert [row[0] for row in await deliveries(inputs)] == expected


@pytest.mark.parametrize(
    ("types", "with_compliance", "wanted_types", "expected"),
    [
        (["*"], False, events.TYPES, [1]),
        (["*"], True, events.TYPES, [1, 2, 3]),
        (["dots.background_check.flagged", "dots.user.*"], True, events.TYPES, [3]),
        (["*"], True, [events.CHECK_CLEARED], [2]),
        # Asking for more than the subscription gets does not give it more.
        (["dots.flow.*"], True, [events.CHECK_CLEARED], []),
        (["*"], False, [events.CHECK_CLEARED, events.CHECK_FLAGGED], []),
    ],
)
async def test_redelivery_respects_types_and_compliance(
    inputs: AllInputs, types: list[str], *, with_compliance: bool, wanted_types: list[str], expected: list[int]
) -> None:
    """A redelivery sends only events that the subscription may get."""
    await feeding.feed(inputs.engine, step_events(1))
    await feeding.feed(inputs.engine, verdict_events(Verdict.CLEARED, Verdict.FLAGGED))
    made = await subscribe(inputs, URL, types, with_compliance=with_compliance)

    await redeliver.redeliver(inputs, made.subscription.id, wanted_events(types=wanted_types), is_dry_run=False)

    assert [row[0] for row in await deliveries(inputs)] == expected


async def test_redelivery_respects_the_app(inputs: AllInputs) -> None:
    """A subscription to one app gets no events of other apps."""
    await feeding.feed(inputs.engine, step_events(1))
    made = await subscribe(inputs, URL, app="eu")

    done = await redeliver.redeliver(inputs, made.subscription.id, wanted_events(), is_dry_run=False)

    assert counted(done) == (0, 0, 0)
    assert await deliveries(inputs) == []


@pytest.mark.parametrize("is_dry_run", [True, False])
async def test_call_searches_a_bounded_range(
    inputs: AllInputs, monkeypatch: pytest.MonkeyPatch, *, is_dry_run: bool
) -> None:
    """Calls are bounded even if few events match. A dry run returns a cursor as well."""
    monkeypatch.setattr(redeliver, "SCAN_LIMIT", 2)
    monkeypatch.setattr(redeliver, "LOOK_LIMIT", 4)
    await feeding.feed(inputs.engine, step_events(9))
    await feeding.feed(inputs.engine, verdict_events(Verdict.CLEARED))
    made = await subscribe(inputs, URL, with_compliance=True)
    calls = []
    after: int | None = 0
    while after is not None:
        wanted = wanted_events(types=[events.CHECK_CLEARED], after=after)
        done = await redeliver.redeliver(inputs, made.subscription.id, wanted, is_dry_run=is_dry_run)
        calls.append((counted(done), done.next_after))
        after = done.next_after

    assert calls == [((0, 0, 0), 4), ((0, 0, 0), 8), ((0, 1, 1), None)]
    assert [row[0] for row in await deliveries(inputs)] == ([] if is_dry_run else [10])


async def test_expired_events_are_not_sent(inputs: AllInputs) -> None:
    """Stored events after the expired ones are sent."""
    await feeding.feed(inputs.engine, step_events(3))
    await stored.execute(inputs.engine, "DELETE FROM events WHERE position = 1", "UPDATE feed SET expired_position = 1")
    made = await subscribe(inputs, URL)

    done = await redeliver.redeliver(inputs, made.subscription.id, wanted_events(), is_dry_run=False)

    assert counted(done) == (0, 2, 1)
    assert [row[0] for row in await deliveries(inputs)] == [2, 3]
