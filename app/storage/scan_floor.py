"""Where a pass starts to scan an index, so that it skips the dead rows of earlier passes.

A row that was updated or deleted stays in its index as long as any transaction may still see it. A pass that always
starts at the front of the index reads all of these. A floor lets it start where earlier passes stopped. From time to
time a full scan finds the rows that appeared below the floor.
"""

# The pause before the next full scan is this many times the duration of the last one, so full scans take at most 2 % of
# the time, unless LONGEST_PAUSE_SECONDS limits the pause.
PAUSE_FACTOR = 50.0
LONGEST_PAUSE_SECONDS = 10.0
# The floor lags behind by this time, in which most transactions that write below it commit.
LAG_SECONDS = 2.0


class FullScans:
    """Decides when the next full scan is due. The first scan is a full one."""

    def __init__(self) -> None:
        """Make the first scan a full one."""
        self._due_at = float("-inf")

    def is_due(self, now: float) -> bool:
        """Whether a scan that starts now must be a full one; `now` is in seconds of a monotonic clock."""
        return now >= self._due_at

    def took(self, seconds: float, *, now: float) -> None:
        """Record that a full scan ended now and took this time."""
        self._due_at = now + min(PAUSE_FACTOR * seconds, LONGEST_PAUSE_SECONDS)


class ScanFloor:
    """The floor of one process for an ascending column, such as an id."""

    def __init__(self) -> None:
        """Start at the front of the index."""
        self._full_scans = FullScans()
        self._floor = self._next_floor = self._reached = 0
        self._moves_at = float("-inf")

    def floor(self, now: float) -> int:
        """The value after which a scan that starts now begins; 0 for a full scan."""
        return 0 if self._full_scans.is_due(now) else self._floor

    def looked(self, floor: int, *, reached: int | None, is_whole: bool, began: float, now: float) -> None:
        """Record a scan that began after `floor`, went up to `reached` (None: it found nothing) and ended now.

        `is_whole` is whether it read everything above its floor, instead of stopping at a limit.
        """
        if floor == 0:
            self._full_scans.took(now - began, now=now)
        if reached is not None:
            self._reached = max(self._reached, reached)
            if floor == 0 and not is_whole:
                # There may be more rows between `reached` and the floor.
                self._floor, self._next_floor = min(self._floor, reached), min(self._next_floor, reached)
        if now >= self._moves_at:
            self._floor, self._next_floor = self._next_floor, self._reached
            self._moves_at = now + LAG_SECONDS
