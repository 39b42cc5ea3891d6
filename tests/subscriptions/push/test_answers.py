from datetime import UTC, datetime, timedelta

import pytest

from app.subscriptions.push import answers

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
TOOK = timedelta(milliseconds=7)

STATUSES = [
    (200, None),
    (204, None),
    (299, None),
    (300, "redirected"),
    (301, "redirected"),
    (304, "redirected"),
    (308, "redirected"),
    (400, "status_400"),
    (404, "status_404"),
    (410, "gone"),
    (429, "status_429"),
    (500, "status_500"),
    (503, "status_503"),
    (599, "status_599"),
    (101, "status_101"),
    (999, "status_999"),
]


@pytest.mark.parametrize(("status", "error"), STATUSES)
def test_status_is_success_or_an_error_code(status: int, error: str | None) -> None:
    """Any 2xx is success, and other statuses have error codes."""
    answer = answers.read(status, [], now=NOW, took=TOOK)

    assert (answer.status, answer.error, answer.took) == (status, error, TOOK)


# tests/test_retry_after.py has all forms of the value.
RETRY_AFTER = [
    (b"120", timedelta(minutes=2)),
    (b"86401", timedelta(hours=24)),
    (b"Mon, 23 Nov 2026 12:00:30 GMT", timedelta(seconds=30)),
    (b"soon", None),
    (b"\xb2", None),
]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("value", "wait"), RETRY_AFTER)
def test_retry_after_is_read(status: int, value: bytes, wait: timedelta | None) -> None:
    """The wait is at most a day. Invalid values are ignored."""
    answer = answers.read(status, [(b"Retry-AFTER", value)], now=NOW, took=TOOK)

    assert answer.retry_after == wait


@pytest.mark.parametrize("status", [200, 301, 410, 500])
def test_retry_after_counts_only_for_429_and_503(status: int) -> None:
    """The header is ignored for other statuses."""
    assert answers.read(status, [(b"retry-after", b"120")], now=NOW, took=TOOK).retry_after is None


def test_first_retry_after_counts() -> None:
    """A second header is ignored."""
    headers = [(b"retry-after", b"5"), (b"retry-after", b"7")]

    assert answers.read(503, headers, now=NOW, took=TOOK).retry_after == timedelta(seconds=5)
