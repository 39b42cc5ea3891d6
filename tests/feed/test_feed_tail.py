"""The end of the feed in memory, as plain data: how it grows, and when it gives up."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import pytest

from app.feed import feed_tail
from app.feed.cursor import Cursor
from app.feed.event_rows import FeedState
from app.feed.events import (
    COMPLIANCE_TYPES,
    FLOW_COMPLETED,
    FLOW_CREATED,
    TYPES,
    EventRecord,
)
from app.feed.feed_tail import FeedTail
from tests.dots.fake_dots import NOW

EPOCH, OTHER_EPOCH = UUID(int=1), UUID(int=2)
LENGTH = 5


@pytest.fixture(autouse=True)
def short_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tail of five events."""
    monkeypatch.setattr(feed_tail, "LENGTH", LENGTH)


def state(last: int, *, expired: int = 0, epoch: UUID = EPOCH) -> FeedState:
    """How far the feed reaches."""
    return FeedState(epoch=epoch, last_position=last, expired_position=expired)


def records(positions: Iterable[int], *, type_: str = FLOW_CREATED) -> list[EventRecord]:
    """Events at these positions."""
    return [
        EventRecord(
            id=UUID(int=position),
            app="default",
            type=type_,
            subject=f"flow/{position}",
            sequence=1,
            occurred_at=NOW,
            data={},
            position=position,
        )
        for position in positions
    ]


def tail(first: int, last: int, *, expired: int = 0) -> FeedTail:
    """A tail of the events from `first` to `last`."""
    placed = feed_tail.placed_in(EPOCH, records(range(first, last + 1)))
    return FeedTail(state=state(last, expired=expired), events=placed)


def at(position: int, epoch: UUID = EPOCH) -> Cursor:
    """A place in the feed."""
    return Cursor(epoch=epoch, position=position)


def positions(tail: FeedTail) -> list[int]:
    """Where the events of a tail are."""
    return [placed.place.position for placed in tail.events]


@dataclass(frozen=True, kw_only=True)
class Growth:
    """The feed is in state `now`; the database holds the events from `stored`."""

    known: FeedTail
    now: FeedState
    stored: range
    unread_from: int
    kept: list[int]


GROWTHS = {
    "nothing known: the last ones are read": Growth(
        known=tail(1, 0), now=state(9), stored=range(1, 10), unread_from=4, kept=[5, 6, 7, 8, 9]
    ),
    "nothing there": Growth(known=tail(1, 0), now=state(0), stored=range(1, 1), unread_from=0, kept=[]),
    "some are new": Growth(known=tail(1, 2), now=state(4), stored=range(1, 5), unread_from=2, kept=[1, 2, 3, 4]),
    "the oldest make room": Growth(
        known=tail(1, 5), now=state(7), stored=range(1, 8), unread_from=5, kept=[3, 4, 5, 6, 7]
    ),
    "more are new than there is room for": Growth(
        known=tail(1, 5), now=state(20), stored=range(1, 21), unread_from=15, kept=[16, 17, 18, 19, 20]
    ),
    "some have expired": Growth(
        known=tail(1, 5), now=state(6, expired=3), stored=range(4, 7), unread_from=5, kept=[4, 5, 6]
    ),
    "all have expired": Growth(known=tail(1, 5), now=state(5, expired=5), stored=range(6, 6), unread_from=5, kept=[]),
    "the purge came between state and events": Growth(
        known=tail(1, 0), now=state(9), stored=range(7, 10), unread_from=4, kept=[7, 8, 9]
    ),
    "the purge came between, and what is known does not join": Growth(
        known=tail(1, 2), now=state(6), stored=range(5, 7), unread_from=2, kept=[]
    ),
    "another epoch": Growth(
        known=tail(1, 5), now=state(3, epoch=OTHER_EPOCH), stored=range(1, 4), unread_from=0, kept=[1, 2, 3]
    ),
    "a feed that has shrunk": Growth(known=tail(1, 5), now=state(3), stored=range(1, 4), unread_from=0, kept=[1, 2, 3]),
}


@pytest.mark.parametrize("case", GROWTHS.values(), ids=GROWTHS)
def test_tail_grows(case: Growth) -> None:
    """What it keeps are the last events, without a gap, up to the last position; or none."""
    begin = case.known.unread_from(case.now)
    fresh = records(position for position in case.stored if begin < position <= case.now.last_position)

    grown = case.known.grown(case.now, fresh)

    assert (begin, positions(grown), grown.state) == (case.unread_from, case.kept, case.now)
    assert {placed.place.epoch for placed in grown.events} <= {case.now.epoch}


COVERED = [
    (at(3), True),  # before the first event held
    (at(5), True),
    (at(8), True),  # the end
    (at(9), True),  # beyond it: nothing followed
    (at(2), False),  # one event before those held
    (at(5, OTHER_EPOCH), False),
]


def test_places_that_are_covered() -> None:
    """Only from these is memory read."""
    held = tail(4, 8)

    assert [(place, held.covers(place)) for place, _ in COVERED] == COVERED


def test_page_of_the_types_wanted() -> None:
    """The cursor is behind everything that was looked at."""
    mixed = [*records([1, 2]), *records([3], type_=FLOW_COMPLETED), *records([4])]
    held = FeedTail(state=state(4), events=feed_tail.placed_in(EPOCH, mixed))

    page = held.page(after=at(0), types={FLOW_COMPLETED}, limit=10)
    nothing = held.page(after=at(0), types=COMPLIANCE_TYPES, limit=10)

    assert [placed.place for placed in page.events] == [at(3)]
    assert (page.cursor, page.has_more) == (at(4), False)
    assert (nothing.events, nothing.cursor) == ([], at(4))


def test_pages_are_limited_and_join() -> None:
    """A page that is full ends behind its last event."""
    held = tail(1, 5)

    first = held.page(after=at(0), types=TYPES, limit=3)
    second = held.page(after=first.cursor, types=TYPES, limit=3)

    assert ([placed.place.position for placed in first.events], first.cursor, first.has_more) == (
        [1, 2, 3],
        at(3),
        True,
    )
    assert ([placed.place.position for placed in second.events], second.has_more) == ([4, 5], False)


def test_message_is_made_once() -> None:
    """All streams send the very same bytes."""
    (placed,) = tail(1, 1).events

    assert placed.message is placed.message
    assert placed.message.startswith(b"event: dots.flow.created\ndata: {")
    assert placed.message.endswith(f"\nid: {at(1)}\n\n".encode())
