"""Floors of passes, with explicit times."""

from app.storage.scan_floor import (
    LAG_SECONDS,
    LONGEST_PAUSE_SECONDS,
    PAUSE_FACTOR,
    FullScans,
    ScanFloor,
)


def look(scan_floor: ScanFloor, now: float, *, reached: int | None, is_whole: bool = True, took: float = 0.1) -> int:
    """Scan once. Returns the floor of the scan."""
    floor = scan_floor.floor(now)
    scan_floor.looked(floor, reached=reached, is_whole=is_whole, began=now, now=now + took)
    return floor


def test_full_scans_take_a_fiftieth_of_the_time() -> None:
    """After a full scan that took a tenth of a second, the next one is due five seconds later."""
    looks = FullScans()
    first = looks.is_due(0.0)
    looks.took(0.1, now=0.1)

    assert first
    assert PAUSE_FACTOR == 50
    assert not looks.is_due(5.09)
    assert looks.is_due(5.11)


def test_pause_after_a_long_full_scan_is_bounded() -> None:
    """A stalled database does not postpone the next full scan for ever."""
    looks = FullScans()
    looks.took(3600.0, now=0.0)

    assert not looks.is_due(LONGEST_PAUSE_SECONDS - 0.01)
    assert looks.is_due(LONGEST_PAUSE_SECONDS)


def test_floor_follows_at_a_distance() -> None:
    """A pass begins after the value that was reached some seconds before, not after the latest one."""
    scan_floor = ScanFloor()
    floors = [look(scan_floor, step / 4, reached=100 * (step + 1)) for step in range(24)]

    late = int(LAG_SECONDS * 4)
    assert floors[0] == 0
    assert floors[1:late] == [0] * (late - 1)
    behind = [100 * (step + 1) - floor for step, floor in enumerate(floors) if floor]
    assert behind
    assert min(behind) >= 100 * LAG_SECONDS * 4
    assert max(behind) <= 100 * (2 * LAG_SECONDS * 4 + 2)


def test_floor_stays_when_nothing_is_found() -> None:
    """A pass that finds nothing does not move the floor."""
    scan_floor = ScanFloor()
    for step in range(40):
        look(scan_floor, step / 4, reached=500 if step == 0 else None, took=1.0)

    assert look(scan_floor, 10.1, reached=None) == 500


def test_full_scan_that_hit_its_limit_lowers_the_floor() -> None:
    """The next pass reads the rows that exceeded the limit."""
    scan_floor = ScanFloor()
    for step in range(40):
        look(scan_floor, step / 4, reached=500, took=1.0)
    full = look(scan_floor, 1000.0, reached=20, is_whole=False, took=5.0)

    assert full == 0
    assert look(scan_floor, 1005.1, reached=40, is_whole=False) <= 20
