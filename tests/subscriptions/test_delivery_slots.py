"""The room of one process for deliveries, on a clock set by hand."""

from datetime import timedelta
from uuid import UUID

from app.subscriptions.delivery_slots import SLOW_SECONDS, DeliverySlots
from app.subscriptions.queue_claims import FreeSlots

SHOP, BANK = UUID(int=1), UUID(int=2)


def slots_with(*subscriptions: UUID, in_flight: int = 8) -> DeliverySlots:
    """Room for so many, with deliveries to these begun at 0."""
    slots = DeliverySlots(in_flight=in_flight, at_once=2)
    for number, each in enumerate(subscriptions):
        slots.begin(number, each, now=0.0)
    return slots


def test_deliveries_under_way_take_the_room() -> None:
    """Each takes a place in all, and one of its subscription."""
    slots = slots_with(SHOP, SHOP, BANK)

    assert slots.left(set()) == FreeSlots(total=5, slow=6, at_once=2)
    assert slots.busy == {SHOP: 2, BANK: 1}


def test_place_is_given_back() -> None:
    """Afterwards nothing is left of a subscription that has none under way."""
    slots = slots_with(SHOP, BANK)
    slots.end(0)

    assert slots.left(set()) == FreeSlots(total=7, slow=6, at_once=2)
    assert slots.busy == {BANK: 1}


def test_subscriber_that_owes_an_answer_is_slow() -> None:
    """It is slow before it has answered, so that no further places go to it."""
    slots = slots_with(SHOP)
    slots.begin("later", BANK, now=SLOW_SECONDS)

    assert slots.slow(SLOW_SECONDS) == set()
    assert slots.slow(SLOW_SECONDS + 0.1) == {SHOP}
    assert slots.left({SHOP}) == FreeSlots(total=6, slow=5, at_once=2)


def test_subscriber_is_slow_until_it_answers_sooner() -> None:
    """The last answer counts."""
    slots = slots_with()
    slots.answered(SHOP, timedelta(seconds=SLOW_SECONDS + 0.1))
    before = slots.slow(0.0)
    slots.answered(SHOP, timedelta(seconds=SLOW_SECONDS - 0.1))

    assert before == {SHOP}
    assert slots.slow(0.0) == set()


def test_end_says_when_something_may_have_waited() -> None:
    """It may when the process, or the subscription, had no room left, or when slow subscribers share what they have."""
    roomy = slots_with(SHOP)
    full = slots_with(SHOP, BANK, in_flight=2)
    busy = slots_with(SHOP, SHOP)
    slow = slots_with(SHOP)
    slow.answered(SHOP, timedelta(seconds=SLOW_SECONDS + 0.1))

    assert [slots.end(0) for slots in (roomy, full, busy, slow)] == [False, True, True, True]


def test_smallest_room_is_open_to_slow_subscribers_too() -> None:
    """With room for one, a slow subscriber is still sent its events."""
    slots = slots_with(in_flight=1)

    assert slots.left({SHOP}) == FreeSlots(total=1, slow=1, at_once=2)
