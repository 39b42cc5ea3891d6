"""Where the scans of a process begin, so that they do not read entries of rows that were claimed before."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.flows.due_rows import KINDS, AppScan, DueKind

# A row becomes visible when its transaction commits, which is later than its due time. A row that is made due again
# during a refresh also becomes claimable later.
MARGIN = timedelta(seconds=3)
FULL_SCAN_EVERY = timedelta(seconds=1)
# Full scans take at most a fiftieth of the time …
FULL_SCAN_SHARE = 50
# … unless one takes very long: the next one waits at most this long.
LONGEST_PAUSE = timedelta(seconds=30)
# During a full scan no other one begins. It ends, or Postgres cancels it, long before this.
_UNDER_WAY = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class View:
    """The scans of one pass. `is_full`: they cover all due rows."""

    scans: tuple[AppScan, ...]
    is_full: bool


class DueScanFloor:
    """For each app and kind, the due time before which all rows are claimed.

    A claimed row leaves dead entries in the index. While a transaction of the database stays open, Postgres cannot
    remove them, and a scan that begins with the oldest would read all of them.

    Some rows become due before the floor: released ones, those of a worker that died, those of an app that was paused,
    those that were made due again while Dots took longer than the margin to answer, and those of a machine whose clock
    is slow. A full scan finds them. There is one every second, or after 50 times the duration of the last one, but at
    most 30 seconds: they may be claimed that late.
    """

    def __init__(self) -> None:
        self._floors: dict[tuple[str, DueKind], datetime] = {}
        self._full_scan_at: datetime | None = None

    def view(self, apps: Collection[str], *, share: int, now: datetime) -> View:
        """Return the scans of the next pass. After a full one, call `end_full_scan`."""
        is_full = self._full_scan_at is None or now >= self._full_scan_at
        if is_full:
            self._full_scan_at = now + _UNDER_WAY
        scans = tuple(
            AppScan(
                app=app,
                share=share,
                requested_floor=None if is_full else self._floors.get((app, "requested")),
                sweep_floor=None if is_full else self._floors.get((app, "sweep")),
            )
            for app in apps
        )
        return View(scans=scans, is_full=is_full)

    def end_full_scan(self, *, took: timedelta, now: datetime) -> None:
        """End a full scan, successful or not, whose statements took this long."""
        self._full_scan_at = now + min(max(FULL_SCAN_EVERY, FULL_SCAN_SHARE * took), LONGEST_PAUSE)

    def advance(
        self, scan: AppScan, kind: DueKind, *, seen_up_to: datetime | None, now: datetime, is_full: bool
    ) -> None:
        """Note that all rows of the scan up to this due time are claimed (None: all that are due)."""
        key = (scan.app, kind)
        # Another pass may have moved the floor back meanwhile. Moving it forward would hide the rows that it found.
        if is_full or self._floors.get(key) == scan.floor(kind):
            self._floors[key] = min(seen_up_to or now, now - MARGIN)

    def forget(self, app: str) -> None:
        """Scan all due rows of this app next time."""
        for kind in KINDS:
            self._floors.pop((app, kind), None)
