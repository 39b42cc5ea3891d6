"""The slots of one process for deliveries, with a fake clock."""

from datetime import timedelta
from uuid import UUID

from app.subscriptions.delivery_slots import SLOW_SECONDS, DeliverySlots
from app.subscriptions.queue_claims import FreeSlots

SHOP, BANK = UUID(int=1), UUID(int=2)


def slots_with(*subscriptions: UUID, in_flight: int = 8) -> DeliverySlots:
    """Slots with deliveries to these subscriptions, started at 0."""
    slots = DeliverySlots(in_flight=in_flight, at_once=2)
    for number, each in enumerate(subscriptions):
        slots.begin(number, each, now=0.0)
    return slots


def test_deliveries_in_flight_take_slots() -> None:
    """Each delivery takes a slot of the process and of its subscription."""
    slots = slots_with(SHOP, SHOP, BANK)

    assert slots.left(set()) == FreeSlots(total=5, slow=6, at_once=2)
    assert slots.busy == {SHOP: 2, BANK: 1}


def test_end_frees_the_slot() -> None:
    """A subscription without deliveries in flight is forgotten."""
    slots = slots_with(SHOP, BANK)
    slots.end(0)

    assert slots.left(set()) == FreeSlots(total=7, slow=6, at_once=2)
    assert slots.busy == {BANK: 1}


def test_subscriber_with_a_late_answer_is_slow() -> None:
    """A subscriber is slow before it has answered, so it gets no further slots."""
    slots = slots_with(SHOP)
    slots.begin("later", BANK, now=SLOW_SECONDS)

    assert slots.slow(SLOW_SECONDS) == set()
    assert slots.slow(SLOW_SECONDS + 0.1) == {SHOP}
    assert slots.left({SHOP}) == FreeSlots(total=6, slow=5, at_once=2)


def test_subscriber_is_slow_until_a_fast_answer() -> None:
    """Only the last answer counts."""
    slots = slots_with()
    slots.answered(SHOP, timedelta(seconds=SLOW_SECONDS + 0.1))
    before = slots.slow(0.0)
    slots.answered(SHOP, timedelta(seconds=SLOW_SECONDS - 0.1))

    assert before == {SHOP}
    assert slots.slow(0.0) == set()


def test_end_tells_whether_another_delivery_may_wait() -> None:
    """A delivery may wait if the process or the subscription had no free slot, or if the subscriber is slow."""
    roomy = slots_with(SHOP)
    full = slots_with(SHOP, BANK, in_flight=2)
    busy = slots_with(SHOP, SHOP)
    slow = slots_with(SHOP)
    slow.answered(SHOP, timedelta(seconds=SLOW_SECONDS + 0.1))

    assert [slots.end(0) for slots in (roomy, full, busy, slow)] == [False, True, True, True]


def test_single_slot_is_open_to_slow_subscribers() -> None:
    """With one slot, a slow subscriber still gets its events."""
    slots = slots_with(in_flight=1)

    assert slots.left({SHOP}) == FreeSlots(total=1, slow=1, at_once=2)
