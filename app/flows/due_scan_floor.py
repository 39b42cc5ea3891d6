"""Where a process's claims begin to look, so that they do not walk through what was claimed before."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.flows.due_rows import KINDS, AppScan, DueKind

# Rows become visible when their transaction commits, later than the due time they carry; a refresh during which its
# row is made due again takes this long too.
MARGIN = timedelta(seconds=3)
FULL_SCAN_EVERY = timedelta(seconds=1)
# Full looks take a fiftieth of the time at most …
FULL_SCAN_SHARE = 50
# … unless one takes very long: the next one never waits longer than this.
LONGEST_PAUSE = timedelta(seconds=30)
# While a full look is under way no other one begins. It ends, or Postgres cancels it, long before this.
_UNDER_WAY = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class View:
    """Where one pass looks: `is_full` when it looks at everything that is due."""

    scans: tuple[AppScan, ...]
    is_full: bool


class DueScanFloor:
    """The due time, for each app and kind, before which everything has been claimed already.

    A claimed row leaves dead entries at its old place in the index. While any transaction of the database stays open,
    Postgres can remove none of them, and a claim that began with the oldest would walk through all of them.

    Some rows become due behind the front: released ones, those of a worker that died, those of an app that was paused,
    those that were made due again while Dots took longer than the margin to answer, and those of a machine whose clock
    is late. A full look finds them. There is one every second, or after 50 times as long as the last one took, but
    at most 30 seconds: that is how late they may be claimed.
    """

    def __init__(self) -> None:
        self._floors: dict[tuple[str, DueKind], datetime] = {}
        self._full_scan_at: datetime | None = None

    def view(self, apps: Collection[str], *, share: int, now: datetime) -> View:
        """Where the next pass looks. A full look has to be ended with `end_full_scan`."""
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
        """A full look has ended, well or badly; its statements took so long."""
        self._full_scan_at = now + min(max(FULL_SCAN_EVERY, FULL_SCAN_SHARE * took), LONGEST_PAUSE)

    def advance(
        self, look: AppScan, kind: DueKind, *, seen_up_to: datetime | None, now: datetime, is_full: bool
    ) -> None:
        """Everything the look could find up to this due time is claimed (None: everything that is due)."""
        key = (look.app, kind)
        # Another pass may have looked further back meanwhile; what this one knows would hide what that one found.
        if is_full or self._floors.get(key) == look.floor(kind):
            self._floors[key] = min(seen_up_to or now, now - MARGIN)

    def forget(self, app: str) -> None:
        """Look at everything of this app next time."""
        for kind in KINDS:
            self._floors.pop((app, kind), None)
