from datetime import UTC, datetime, timedelta

import pytest

from app.dots.answers import Answer, read_answer
from app.errors import (
    DotsCredentialsError,
    DotsError,
    DotsFailedError,
    DotsGibberishError,
    DotsNotFoundError,
    DotsRefusedError,
    DotsThrottledError,
)

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def answer(status: int, body: bytes | None = b"{}", *, retry_after: str | None = None) -> Answer:
    """An answer in one short line."""
    return Answer(status=status, retry_after=retry_after, body=body)


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_any_2xx_is_success(status: int) -> None:
    """Dots uses 200 and 201 for the same thing."""
    assert read_answer(answer(status, b'{"id": "x"}'), now=NOW) == {"id": "x"}


STATUSES: list[tuple[int, type[DotsError]]] = [
    (101, DotsGibberishError),
    (300, DotsGibberishError),
    (301, DotsGibberishError),  # never followed: the credentials would go along
    (304, DotsGibberishError),
    (307, DotsGibberishError),
    (400, DotsRefusedError),
    (401, DotsCredentialsError),
    (403, DotsCredentialsError),  # what the first version answers to bad credentials
    (404, DotsNotFoundError),
    (409, DotsRefusedError),
    (422, DotsRefusedError),
    (429, DotsThrottledError),
    (499, DotsRefusedError),
    (500, DotsFailedError),
    (502, DotsFailedError),
    (503, DotsFailedError),
    (599, DotsFailedError),
    (600, DotsGibberishError),
    (999, DotsGibberishError),
]


@pytest.mark.parametrize(("status", "expected"), STATUSES)
@pytest.mark.parametrize("body", [b'{"success": false, "error_code": "invalid-input"}', b"<html>", b"", None])
def test_status_decides_the_error_whatever_the_body(status: int, expected: type[DotsError], body: bytes | None) -> None:
    """A proxy's page, no body, or one too large to read: the status is enough."""
    with pytest.raises(DotsError) as raised:
        read_answer(answer(status, body), now=NOW)

    assert (type(raised.value), raised.value.status) == (expected, status)


UNREADABLE = [
    b"",
    b"<html>maintenance</html>",
    b'{"id": ',
    b"\xff\xfe\xff",
    b"[" * 100_000,
    b"9" * 5_000,
    None,  # too large, or compressed
]


@pytest.mark.parametrize("body", UNREADABLE)
def test_unreadable_success_is_gibberish(body: bytes | None) -> None:
    """Success without a word we understand; nothing of it is quoted or kept as the cause."""
    with pytest.raises(DotsGibberishError) as raised:
        read_answer(answer(200, body), now=NOW)

    assert raised.value.status == 200
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ is (body is not None)


ERROR_CODES: list[tuple[bytes | None, str | None]] = [
    (b'{"success": false, "message": "Nope", "error_code": "invalid-input"}', "invalid-input"),
    (b'{"error_code": "e404"}', "e404"),
    (b'{"error_code": "%s"}' % (b"a" * 64), "a" * 64),
    (b'{"error_code": "%s"}' % (b"a" * 65), None),
    (b'{"error_code": ""}', None),
    (b'{"error_code": "Invalid Input"}', None),
    (b'{"error_code": "ssn-is-123-45-6789\\n"}', None),
    (b'{"error_code": 17}', None),
    (b'{"error_code": {"code": "invalid-input"}}', None),
    (b'{"message": "Nope"}', None),
    (b'["error_code"]', None),
    (b"[" * 100_000, None),
    (b"\xff", None),
    (None, None),
]


@pytest.mark.parametrize(("body", "expected"), ERROR_CODES)
def test_only_a_plain_error_code_is_kept(body: bytes | None, expected: str | None) -> None:
    """Of a refusal one short code is kept, if it looks like Dots' codes."""
    with pytest.raises(DotsRefusedError) as raised:
        read_answer(answer(400, body), now=NOW)

    assert raised.value.error_code == expected


def test_message_of_dots_is_never_repeated() -> None:
    """Dots' prose may name people; it ends here."""
    with pytest.raises(DotsRefusedError) as raised:
        read_answer(answer(400, b'{"message": "Ada is under 18", "error_code": "invalid-input"}'), now=NOW)

    assert "Ada" not in str(raised.value) + repr(raised.value)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_rides_on_the_error(status: int) -> None:
    """Whoever waits finds it on the error."""
    with pytest.raises(DotsError) as raised:
        read_answer(answer(status, retry_after="17"), now=NOW)

    assert raised.value.retry_after == timedelta(seconds=17)
