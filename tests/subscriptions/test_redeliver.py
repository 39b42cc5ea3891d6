from datetime import timedelta
from uuid import UUID

import pytest

from app.errors import DeliveryNotFoundError, SubscriptionNotFoundError
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
NOBODY = UUID(int=1)


def wanted_events(**fields: object) -> RedeliveryRequest:
    """Everything since the beginning, apart from these fields."""
    whole: dict[str, object] = {"types": events.TYPES, "since": NOW}
    return RedeliveryRequest(**(whole | fields))  # type: ignore[arg-type]  # a test's own choice of fields


def counted(done: Redelivery) -> tuple[int, int, int]:
    """Again, for the first time, about so many subjects."""
    return done.count.again, done.count.fresh, done.count.subjects


def reported(shop: Subscriber) -> list[tuple[str, int]]:
    """What a subscriber was sent, in the order it was."""
    return [received.about for received in shop.received]


async def test_one_event_is_sent_once_more_with_its_id(inputs: AllInputs) -> None:
    """Delivered already, and delivered again: the same id and the same bytes, and nothing else with it."""
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
    assert reported(shop) == [("flow/flow-1", 1), ("flow/flow-1", 2), ("flow/flow-1", 3), ("flow/flow-1", 2)]
    assert (first.headers["webhook-id"], first.body) == (again.headers["webhook-id"], again.body)
    assert was_notified


async def test_one_dead_event_gets_all_its_attempts_again(inputs: AllInputs) -> None:
    """It is pending with none failed, and what was done about it is still known."""
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


async def test_one_that_waits_for_its_next_attempt_is_sent_now(inputs: AllInputs) -> None:
    """Whoever asks for it does not want to wait for the schedule."""
    is_down = True
    async with subscriber.listening(lambda _received: (500 if is_down else 204, {})) as shop:
        made = await subscribe(inputs, shop.url)
        await feeding.append(inputs.engine, step_events(1))
        await sequence(inputs)
        await deliver(inputs)
        is_down = False
        await redeliver.redeliver_one(inputs, made.subscription.id, step_events(1)[0].id)
        await deliver(inputs)

    assert await deliveries(inputs) == [(1, "delivered", 0, None)]


async def test_one_that_was_never_to_be_delivered_is_unknown(inputs: AllInputs) -> None:
    """A subscription's patterns are not gone around by name."""
    made = await subscribe(inputs, URL, ["dots.user.*"])
    await feeding.append(inputs.engine, step_events(1))
    await sequence(inputs)

    with pytest.raises(DeliveryNotFoundError):
        await redeliver.redeliver_one(inputs, made.subscription.id, step_events(1)[0].id)


async def test_events_from_before_the_subscription_are_sent_in_their_order(inputs: AllInputs, clock: HandClock) -> None:
    """A new consumer gets what it missed: per flow in order, before what has come since."""
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
    assert [about for about in reported(shop) if about[0] == "flow/flow-1"] == [("flow/flow-1", n) for n in (1, 2, 3)]
    assert ("flow/flow-2", 1) in reported(shop)
    assert [row[1] for row in await deliveries(inputs)] == ["delivered"] * 4


async def test_dry_run_counts_and_changes_nothing(inputs: AllInputs) -> None:
    """The figures are those of what follows."""
    await feeding.feed(inputs.engine, step_events(2, flow_id="flow-0"))
    async with subscriber.listening() as shop:
        made = await subscribe(inputs, shop.url)
        await feeding.append(inputs.engine, step_events(3))
        await sequence(inputs)
        await deliver(inputs)
    before = await deliveries(inputs)

    dry = await redeliver.redeliver(inputs, made.subscription.id, wanted_events(), is_dry_run=True)
    after_dry = await deliveries(inputs)
    wet = await redeliver.redeliver(inputs, made.subscription.id, wanted_events(), is_dry_run=False)

    assert (counted(dry), dry.is_dry_run, dry.next_after) == ((3, 2, 2), True, None)
    assert after_dry == before
    assert (counted(wet), wet.is_dry_run, wet.next_after) == ((3, 2, 2), False, None)
    assert [row[1:] for row in await deliveries(inputs)] == [("pending", 0, None)] * 5


async def test_what_is_pending_anyway_keeps_its_place(inputs: AllInputs) -> None:
    """Its attempts are counted on, so that asking again and again does not keep it alive for ever."""
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
async def test_time_is_that_of_the_events(
    inputs: AllInputs, since: int, until: int | None, expected: list[int]
) -> None:
    """From `since`, to before `until`; whenever their deliveries were made."""
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
async def test_only_what_the_subscription_may_have_is_sent(
    inputs: AllInputs, types: list[str], *, with_compliance: bool, wanted_types: list[str], expected: list[int]
) -> None:
    """Its patterns and its right hold for the past as for the future."""
    await feeding.feed(inputs.engine, step_events(1))
    await feeding.feed(inputs.engine, verdict_events(Verdict.CLEARED, Verdict.FLAGGED))
    made = await subscribe(inputs, URL, types, with_compliance=with_compliance)

    await redeliver.redeliver(inputs, made.subscription.id, wanted_events(types=wanted_types), is_dry_run=False)

    assert [row[0] for row in await deliveries(inputs)] == expected


async def test_other_apps_events_stay_out(inputs: AllInputs) -> None:
    """A subscription to one app gets that one's past."""
    await feeding.feed(inputs.engine, step_events(1))
    made = await subscribe(inputs, URL, app="eu")

    done = await redeliver.redeliver(inputs, made.subscription.id, wanted_events(), is_dry_run=False)

    assert counted(done) == (0, 0, 0)
    assert await deliveries(inputs) == []


async def test_call_is_bounded_and_says_where_to_go_on(inputs: AllInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Followed from call to call, every event is made pending once."""
    monkeypatch.setattr(redeliver, "BATCH", 2)
    monkeypatch.setattr(redeliver, "CALL_LIMIT", 4)
    for number in range(5):
        await feeding.feed(inputs.engine, step_events(2, flow_id=f"flow-{number}"))
    made = await subscribe(inputs, URL)
    calls = []
    after: int | None = 0
    while after is not None:
        done = await redeliver.redeliver(inputs, made.subscription.id, wanted_events(after=after), is_dry_run=False)
        calls.append(counted(done))
        after = done.next_after

    assert calls == [(0, 4, 2), (0, 4, 2), (0, 2, 1)]
    assert [row[0] for row in await deliveries(inputs)] == list(range(1, 11))


@pytest.mark.parametrize("is_dry_run", [True, False])
async def test_call_looks_at_a_bounded_part_of_the_feed(
    inputs: AllInputs, monkeypatch: pytest.MonkeyPatch, *, is_dry_run: bool
) -> None:
    """However few events match, a call ends; a dry run says where to go on too."""
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


async def test_what_is_no_longer_kept_is_not_sent(inputs: AllInputs) -> None:
    """Expired events cannot come back; those behind them can."""
    await feeding.feed(inputs.engine, step_events(3))
    await stored.execute(inputs.engine, "DELETE FROM events WHERE position = 1", "UPDATE feed SET expired_position = 1")
    made = await subscribe(inputs, URL)

    done = await redeliver.redeliver(inputs, made.subscription.id, wanted_events(), is_dry_run=False)

    assert counted(done) == (0, 2, 1)
    assert [row[0] for row in await deliveries(inputs)] == [2, 3]


@pytest.mark.parametrize("is_dry_run", [True, False])
async def test_unknown_subscription_is_said_to_be_unknown(inputs: AllInputs, *, is_dry_run: bool) -> None:
    """Counting for nobody would be misleading too."""
    with pytest.raises(SubscriptionNotFoundError):
        await redeliver.redeliver(inputs, NOBODY, wanted_events(), is_dry_run=is_dry_run)
