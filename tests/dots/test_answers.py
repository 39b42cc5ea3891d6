from datetime import UTC, datetime, timedelta

import pytest

from app.dots.answers import Answer, read_answer
from app.errors import (
    DotsBusyError,
    DotsError,
    DotsFailedError,
    DotsForbiddenError,
    DotsInvalidResponseError,
    DotsMisroutedError,
    DotsNotFoundError,
    DotsRefusedError,
    DotsThrottledError,
    DotsUnansweredError,
    DotsUnreachableError,
)

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def answer(status: int, body: bytes | None = b"{}", *, retry_after: str | None = None) -> Answer:
    """Build an answer."""
    return Answer(status=status, retry_after=retry_after, body=body)


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_any_2xx_is_success(status: int) -> None:
    """Dots uses 200 and 201 for the same purpose."""
    assert read_answer(answer(status, b'{"id": "x"}'), now=NOW) == {"id": "x"}


DOTS_ERRORS = [
    b'{"success": false, "message": "No", "error_code": "invalid-input"}',
    b'{"error_code": "invalid-input"}',
    b'{"success": false}',
    b'{"message": "No"}',
]
OTHER_BODIES = [b"<html>nginx</html>", b"", b"{}", b"[]", b'"no"', b'{"success": true}', b'{"error": "no"}', None]
TEMPORARY = [b'{"error_code": "service-unavailable"}', b'{"success": false, "error_code": "resource-busy"}']
EVERY_STATUS = [101, *range(300, 600), 600, 999]


def expected_error(status: int, body: bytes | None) -> type[DotsError]:
    """Return the error for a status and body, from the definitions of statuses in RFC 9110 and related RFCs."""
    by_status: dict[int, type[DotsError]] = {
        401: DotsForbiddenError,
        403: DotsForbiddenError,
        407: DotsUnreachableError,
        408: DotsUnansweredError,
        429: DotsThrottledError,
    }
    if status in by_status:
        return by_status[status]
    if 500 <= status < 600:
        return DotsFailedError
    if status not in {*range(400, 419), *range(421, 427), 428, 431, 451}:
        return DotsInvalidResponseError
    if body in TEMPORARY:
        return DotsBusyError
    if body in OTHER_BODIES:
        return DotsMisroutedError
    return DotsNotFoundError if status == 404 else DotsRefusedError


@pytest.mark.parametrize("body", [*DOTS_ERRORS, *OTHER_BODIES, *TEMPORARY])
def test_every_status_has_a_meaning(body: bytes | None) -> None:
    """Each status gives its error. Only a 400 or 422 with a code is final; only a 4xx proves that Dots did not act."""
    final, not_carried_out = set(), set()
    for status in EVERY_STATUS:
        with pytest.raises(DotsError) as raised:
            read_answer(answer(status, body), now=NOW)
        assert (type(raised.value), raised.value.status) == (expected_error(status, body), status)
        if raised.value.is_final:
            final.add(status)
        if not raised.value.may_have_acted:
            not_carried_out.add(status)

    assert final == ({400, 422} if body in DOTS_ERRORS[:2] else set())
    assert not_carried_out == {*range(400, 419), *range(421, 427), 428, 429, 431, 451} - {408}


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
def test_unreadable_success_is_invalid(body: bytes | None) -> None:
    """A success that we cannot read raises an error that does not hold the body, not even as its cause."""
    with pytest.raises(DotsInvalidResponseError) as raised:
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
    """A refusal's code is kept if it looks like one of Dots' codes."""
    with pytest.raises(DotsError) as raised:
        read_answer(answer(400, body), now=NOW)

    assert raised.value.error_code == expected


def test_message_of_dots_is_never_repeated() -> None:
    """Dots' message may name people, so the error does not hold it."""
    with pytest.raises(DotsRefusedError) as raised:
        read_answer(answer(400, b'{"message": "Ada is under 18", "error_code": "invalid-input"}'), now=NOW)

    assert "Ada" not in str(raised.value) + repr(raised.value)


@pytest.mark.parametrize("status", [429, 503])
def test_error_carries_retry_after(status: int) -> None:
    """The error tells the caller how long to wait."""
    with pytest.raises(DotsError) as raised:
        read_answer(answer(status, retry_after="17"), now=NOW)

    assert raised.value.retry_after == timedelta(seconds=17)
