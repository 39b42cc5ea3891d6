"""What one process has under way to subscribers: how much in all, to whom, and who takes long to answer."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.subscriptions.queue_claims import FreeSlots

# A subscriber that takes longer for an answer is slow until it answers sooner.
SLOW_SECONDS = 1.0
# Slow subscribers may have so much of the room together. The rest is left for those who need it for a moment only.
_SLOW_SHARE = 0.75


@dataclass(frozen=True, kw_only=True)
class _Begun:
    subscription_id: UUID
    at: float
    is_slow: bool


class DeliverySlots:
    """Counts the deliveries under way; times are seconds of any steady clock."""

    def __init__(self, *, in_flight: int, at_once: int) -> None:
        """Allow so many deliveries at the same time in all, and `at_once` to each subscription."""
        self._in_flight = in_flight
        self._at_once = at_once
        self._under_way: dict[object, _Begun] = {}
        self._busy: Counter[UUID] = Counter()
        self._slow: set[UUID] = set()

    @property
    def busy(self) -> Mapping[UUID, int]:
        """The number of deliveries under way to each subscription that has any."""
        return self._busy

    def slow(self, now: float) -> set[UUID]:
        """The subscriptions whose last answer took long, who owe one for long, or who were claimed as slow ones."""
        owing = {
            begun.subscription_id
            for begun in self._under_way.values()
            if begun.is_slow or now - begun.at > SLOW_SECONDS
        }
        return self._slow | owing

    def left(self, slow: set[UUID]) -> FreeSlots:
        """The room that is left, when these subscriptions are slow."""
        taken = sum(self._busy[each] for each in slow & self._busy.keys())
        most = max(1, int(self._in_flight * _SLOW_SHARE))
        total = self._in_flight - len(self._under_way)
        return FreeSlots(total=total, slow=max(0, most - taken), at_once=self._at_once)

    def begin(self, delivery: object, subscription_id: UUID, *, now: float, is_slow: bool = False) -> None:
        """Take a place for a delivery, which is told apart by its identity; `is_slow` as its lane was claimed."""
        self._under_way[delivery] = _Begun(subscription_id=subscription_id, at=now, is_slow=is_slow)
        self._busy[subscription_id] += 1

    def answered(self, subscription_id: UUID, took: timedelta) -> None:
        """Note how long a subscriber took for an answer."""
        if took.total_seconds() > SLOW_SECONDS:
            self._slow.add(subscription_id)
        else:
            self._slow.discard(subscription_id)

    def end(self, delivery: object) -> bool:
        """Give the place back; True if something else may have waited for it."""
        subscription_id = self._under_way[delivery].subscription_id
        was_full = len(self._under_way) >= self._in_flight or self._busy[subscription_id] >= self._at_once
        was_full = was_full or subscription_id in self._slow
        del self._under_way[delivery]
        self._busy[subscription_id] -= 1
        if not self._busy[subscription_id]:
            del self._busy[subscription_id]
        return was_full
