"""The latest events of the feed in memory, read once for all readers of a process."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Self
from uuid import UUID

from app.feed import server_sent
from app.feed.cursor import Cursor
from app.feed.event_rows import FeedState
from app.feed.events import EventRecord

LENGTH = 2_000


@dataclass(frozen=True, kw_only=True)
class PlacedEvent:
    """An event and the cursor behind it; what streams send for it is made once, whoever asks first."""

    event: EventRecord
    place: Cursor

    @cached_property
    def message(self) -> bytes:
        """The event as a server-sent event."""
        return server_sent.message(self.event, self.place)


@dataclass(frozen=True, kw_only=True)
class PlacedPage:
    """Events in feed order; `cursor` is behind everything looked at, also behind what did not match."""

    events: list[PlacedEvent]
    cursor: Cursor
    has_more: bool


@dataclass(frozen=True, kw_only=True)
class FeedTail:
    """The end of the feed as it was at one look: `events` are its last ones, without a gap; may be empty."""

    state: FeedState
    events: Sequence[PlacedEvent]

    @property
    def after(self) -> int:
        """The position before the first event here."""
        return self.state.last_position - len(self.events)

    def covers(self, place: Cursor) -> bool:
        """Whether everything that followed this place, at the time of the look, is here; beyond the end nothing did."""
        return place.epoch == self.state.epoch and place.position >= self.after

    def reaches_beyond(self, place: Cursor) -> bool:
        """Whether events have followed this place."""
        return place.epoch == self.state.epoch and place.position < self.state.last_position

    def page(self, *, after: Cursor, types: Collection[str], limit: int) -> PlacedPage:
        """The next events of these types behind a place that is covered, at most `limit`."""
        found: list[PlacedEvent] = []
        reached = max(self.state.last_position, after.position)
        for placed in islice(self.events, after.position - self.after, None):
            if placed.event.type in types:
                found.append(placed)
                if len(found) == limit:
                    reached = placed.place.position
                    break
        return PlacedPage(
            events=found,
            cursor=Cursor(epoch=self.state.epoch, position=reached),
            has_more=reached < self.state.last_position,
        )

    def unread_from(self, state: FeedState) -> int:
        """The position after which events are missing here, for the feed is now in this state."""
        earliest_wanted = max(state.expired_position, state.last_position - LENGTH)
        return max(earliest_wanted, self.state.last_position) if self._goes_on_in(state) else earliest_wanted

    def grown(self, state: FeedState, fresh: Iterable[EventRecord]) -> Self:
        """The tail in this later state, with the events after `unread_from(state)`.

        Empty when they do not join: whoever needs what is not here asks the database, so that less is never wrong.
        """
        held = [*(self.events if self._goes_on_in(state) else ()), *placed_in(state.epoch, fresh)]
        kept = [placed for placed in held[-LENGTH:] if placed.place.position > state.expired_position]
        expected = range(state.last_position - len(kept) + 1, state.last_position + 1)
        is_whole = [placed.place.position for placed in kept] == list(expected)
        return type(self)(state=state, events=kept if is_whole else ())

    def _goes_on_in(self, state: FeedState) -> bool:
        return self.state.epoch == state.epoch and self.state.last_position <= state.last_position


def placed_in(epoch: UUID, found: Iterable[EventRecord]) -> list[PlacedEvent]:
    """Events out of the feed with their places in it."""
    return [
        PlacedEvent(event=event, place=Cursor(epoch=epoch, position=event.position))
        for event in found
        if event.position is not None
    ]
