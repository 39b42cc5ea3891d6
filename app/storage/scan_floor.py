"""Where a pass begins to look, so that it does not walk the dead rows that earlier passes have left behind.

A row that was updated or deleted stays in its index as long as any transaction may still see it. A pass that always
begins at the front of an index walks all of these. A floor lets it begin where earlier passes have stopped; now and
then it looks at everything, for rows that have turned up below.
"""

# The next full look waits for this many times as long as the last one took. Full looks take 2 % of the time at most …
PAUSE_FACTOR = 50.0
# … unless one takes very long: what has turned up below a floor never waits longer than this.
LONGEST_PAUSE_SECONDS = 10.0
# The floor lags behind by this, since most transactions that write below it commit within that time.
LAG_SECONDS = 2.0


class FullScans:
    """Says when to look at everything again; the first look is a full one."""

    def __init__(self) -> None:
        """Begin with a full look."""
        self._due_at = float("-inf")

    def is_due(self, now: float) -> bool:
        """Whether the look that begins now should be a full one; `now` in seconds of any steady clock."""
        return now >= self._due_at

    def took(self, seconds: float, *, now: float) -> None:
        """Note that a full look has ended now, after this time."""
        self._due_at = now + min(PAUSE_FACTOR * seconds, LONGEST_PAUSE_SECONDS)


class ScanFloor:
    """The floor of one process for a column that grows from row to row, such as an id."""

    def __init__(self) -> None:
        """Begin at the bottom."""
        self._full_scans = FullScans()
        self._floor = self._next_floor = self._reached = 0
        self._moves_at = float("-inf")

    def floor(self, now: float) -> int:
        """Where a look that begins now begins: behind this value; 0 for a full look."""
        return 0 if self._full_scans.is_due(now) else self._floor

    def looked(self, floor: int, *, reached: int | None, is_whole: bool, began: float, now: float) -> None:
        """Note a look that began behind `floor`, went up to `reached` (None: it found nothing) and has ended now.

        `is_whole` says that it saw everything above its floor, and did not stop at a limit.
        """
        if floor == 0:
            self._full_scans.took(now - began, now=now)
        if reached is not None:
            self._reached = max(self._reached, reached)
            if floor == 0 and not is_whole:
                # More may have turned up between here and the floor.
                self._floor, self._next_floor = min(self._floor, reached), min(self._next_floor, reached)
        if now >= self._moves_at:
            self._floor, self._next_floor = self._next_floor, self._reached
            self._moves_at = now + LAG_SECONDS
