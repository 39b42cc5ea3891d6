"""Limits the log lines per minute about requests of unknown callers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

log = structlog.get_logger()

LINES = 30
MINUTE = timedelta(minutes=1)


@dataclass(kw_only=True)
class _Window:
    since: datetime
    seen: int = 0


class BoundedLog:
    """Writes the first LINES of each kind per minute. The next line has the number of those that were `left_out`."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """Measure minutes with `clock`."""
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    def warning(self, event: str, *, kind: str, **fields: object) -> None:
        """Log a warning unless there were too many of this kind. There are few kinds, and no caller can add one."""
        now = self._clock()
        window = self._windows.get(kind)
        if window is None or not window.since <= now < window.since + MINUTE:
            left_out = max(0, window.seen - LINES) if window else 0
            if left_out:
                fields["left_out"] = left_out
            window = self._windows[kind] = _Window(since=now)
        window.seen += 1
        if window.seen <= LINES:
            log.warning(event, **fields)


def escaped(text: str, *, limit: int) -> str:
    """Return the beginning of a caller's text as printable ASCII of at most `limit` characters."""
    return text[:limit].encode("unicode_escape").decode("ascii")[:limit]
