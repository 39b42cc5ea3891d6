from datetime import UTC, datetime, timedelta

import pytest

from app import retry_after

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

RETRY_AFTER = [
    (None, None),
    ("0", timedelta(0)),
    ("17", timedelta(seconds=17)),
    (" 17 ", timedelta(seconds=17)),
    ("017", timedelta(seconds=17)),
    ("10", timedelta(seconds=10)),
    ("00000000017", timedelta(seconds=17)),
    ("3600", timedelta(hours=1)),
    ("3601", timedelta(hours=1)),  # capped
    ("9" * 5_000, timedelta(hours=1)),
    ("Mon, 23 Nov 2026 12:00:30 GMT", timedelta(seconds=30)),
    ("Mon, 23 Nov 2026 13:00:30 +0100", timedelta(seconds=30)),
    ("Mon, 23 Nov 2026 12:00:30 -0000", timedelta(seconds=30)),  # a zone that says "unknown"
    ("Mon, 23 Nov 2026 11:59:00 GMT", timedelta(0)),  # already over
    ("Tue, 24 Nov 2026 12:00:00 GMT", timedelta(hours=1)),
    ("Fri, 31 Dec 9999 23:59:59 -2359", timedelta(hours=1)),  # after the year 9999 in UTC
    ("Mon, 23 Nov 2026 12:00:30 +9999", None),
    ("", None),
    ("-5", None),
    ("1.5", None),
    ("soon", None),
    ("\xb2", None),  # a superscript two counts as a digit for Python
    ("Mon, 99 Foo 2026 99:99:99 GMT", None),
    ("17, 18", None),  # the header twice
]


@pytest.mark.parametrize(("value", "expected"), RETRY_AFTER)
def test_wait_is_read_and_capped(value: str | None, expected: timedelta | None) -> None:
    """The header holds seconds or a date. An invalid value counts as absent."""
    assert retry_after.read(value, now=NOW, longest=HOUR) == expected
