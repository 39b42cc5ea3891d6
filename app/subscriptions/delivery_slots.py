"""The deliveries in flight in one process, and which subscribers are slow."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.subscriptions.queue_claims import FreeSlots

# A subscriber is slow if its last answer took longer than this.
SLOW_SECONDS = 1.0
# All slow subscribers together get this share of the slots. The rest stays free for fast subscribers.
_SLOW_SHARE = 0.75


@dataclass(frozen=True, kw_only=True)
class _Begun:
    subscription_id: UUID
    at: float
    is_slow: bool


class DeliverySlots:
    """Counts deliveries in flight. Times are seconds of a monotonic clock."""

    def __init__(self, *, in_flight: int, at_once: int) -> None:
        """Allow `in_flight` concurrent deliveries in total, and `at_once` to each subscription."""
        self._in_flight = in_flight
        self._at_once = at_once
        self._begun: dict[object, _Begun] = {}
        self._busy: Counter[UUID] = Counter()
        self._slow: set[UUID] = set()

    @property
    def busy(self) -> Mapping[UUID, int]:
        """The number of deliveries in flight to each subscription, without zeros."""
        return self._busy

    def slow(self, now: float) -> set[UUID]:
        """Subscriptions whose last answer was slow, whose current answer is late, or that were claimed as slow."""
        late = {
            begun.subscription_id for begun in self._begun.values() if begun.is_slow or now - begun.at > SLOW_SECONDS
        }
        return self._slow | late

    def left(self, slow: set[UUID]) -> FreeSlots:
        """The free slots, if these subscriptions are slow."""
        taken = sum(self._busy[each] for each in slow & self._busy.keys())
        most = max(1, int(self._in_flight * _SLOW_SHARE))
        total = self._in_flight - len(self._begun)
        return FreeSlots(total=total, slow=max(0, most - taken), at_once=self._at_once)

    def begin(self, delivery: object, subscription_id: UUID, *, now: float, is_slow: bool = False) -> None:
        """Take a slot for a delivery, a hashable key. `is_slow` says whether its queue was claimed as slow."""
        self._begun[delivery] = _Begun(subscription_id=subscription_id, at=now, is_slow=is_slow)
        self._busy[subscription_id] += 1

    def answered(self, subscription_id: UUID, took: timedelta) -> None:
        """Record the duration of a subscriber's answer."""
        if took.total_seconds() > SLOW_SECONDS:
            self._slow.add(subscription_id)
        else:
            self._slow.discard(subscription_id)

    def end(self, delivery: object) -> bool:
        """Free the slot. Returns whether another delivery may have waited for it."""
        subscription_id = self._begun[delivery].subscription_id
        was_full = len(self._begun) >= self._in_flight or self._busy[subscription_id] >= self._at_once
        was_full = was_full or subscription_id in self._slow
        del self._begun[delivery]
        self._busy[subscription_id] -= 1
        if not self._busy[subscription_id]:
            del self._busy[subscription_id]
        return was_full
