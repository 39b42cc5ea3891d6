"""Log lines about callers whom nobody knows: so many a minute of each kind, however many requests they send."""

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
    """Writes the first LINES of each minute; the first line after a flood has how many were `left_out`."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """Take the clock that minutes go by."""
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    def warning(self, event: str, *, kind: str, **fields: object) -> None:
        """Log a warning, unless there were too many of this kind; kinds are few, and never the caller's words."""
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
    """The beginning of a caller's own words, in printable ASCII of at most `limit` characters."""
    return text[:limit].encode("unicode_escape").decode("ascii")[:limit]
