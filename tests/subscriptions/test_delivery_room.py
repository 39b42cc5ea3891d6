"""The room of one process for deliveries, on a clock set by hand."""

from datetime import timedelta
from uuid import UUID

from app.subscriptions.delivery_room import SLOW_SECONDS, DeliveryRoom
from app.subscriptions.lane_claims import Room

SHOP, BANK = UUID(int=1), UUID(int=2)


def room_with(*subscriptions: UUID, in_flight: int = 8) -> DeliveryRoom:
    """Room for so many, with deliveries to these begun at 0."""
    room = DeliveryRoom(in_flight=in_flight, at_once=2)
    for number, each in enumerate(subscriptions):
        room.begin(number, each, now=0.0)
    return room


def test_deliveries_under_way_take_the_room() -> None:
    """Each takes a place in all, and one of its subscription."""
    room = room_with(SHOP, SHOP, BANK)

    assert room.left(set()) == Room(total=5, slow=6, at_once=2)
    assert room.busy == {SHOP: 2, BANK: 1}


def test_place_is_given_back() -> None:
    """Afterwards nothing is left of a subscription that has none under way."""
    room = room_with(SHOP, BANK)
    room.end(0)

    assert room.left(set()) == Room(total=7, slow=6, at_once=2)
    assert room.busy == {BANK: 1}


def test_subscriber_that_owes_an_answer_is_slow() -> None:
    """It is slow before it has answered, so that no further places go to it."""
    room = room_with(SHOP)
    room.begin("later", BANK, now=SLOW_SECONDS)

    assert room.slow(SLOW_SECONDS) == set()
    assert room.slow(SLOW_SECONDS + 0.1) == {SHOP}
    assert room.left({SHOP}) == Room(total=6, slow=5, at_once=2)


def test_subscriber_is_slow_until_it_answers_sooner() -> None:
    """The last answer counts."""
    room = room_with()
    room.answered(SHOP, timedelta(seconds=SLOW_SECONDS + 0.1))
    before = room.slow(0.0)
    room.answered(SHOP, timedelta(seconds=SLOW_SECONDS - 0.1))

    assert before == {SHOP}
    assert room.slow(0.0) == set()


def test_end_says_when_something_may_have_waited() -> None:
    """It may when the process, or the subscription, had no room left, or when slow subscribers share what they have."""
    roomy = room_with(SHOP)
    full = room_with(SHOP, BANK, in_flight=2)
    busy = room_with(SHOP, SHOP)
    slow = room_with(SHOP)
    slow.answered(SHOP, timedelta(seconds=SLOW_SECONDS + 0.1))

    assert [room.end(0) for room in (roomy, full, busy, slow)] == [False, True, True, True]


def test_smallest_room_is_open_to_slow_subscribers_too() -> None:
    """With room for one, a slow subscriber is still sent its events."""
    room = room_with(in_flight=1)

    assert room.left({SHOP}) == Room(total=1, slow=1, at_once=2)
