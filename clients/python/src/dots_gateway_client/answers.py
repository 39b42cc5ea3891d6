"""Converts the gateway's answers to JSON or to this client's errors."""

import re
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from dots_gateway_client.errors import (
    CursorExpiredError,
    CursorOfOtherEpochError,
    FlowNotFoundError,
    GatewayError,
    KeyRefusedError,
    MalformedAnswerError,
    RequestRefusedError,
    ScopeMissingError,
    UnavailableError,
)

LONGEST_RETRY_AFTER_SECONDS = 3600.0

# A proxy can answer these statuses without the gateway's codes.
_KINDS_BY_STATUS: dict[int, type[RequestRefusedError]] = {401: KeyRefusedError, 403: ScopeMissingError}
_KINDS_BY_CODE: dict[str, type[RequestRefusedError]] = {
    "cursor_of_other_epoch": CursorOfOtherEpochError,
    "cursor_expired": CursorExpiredError,
    "flow_not_found": FlowNotFoundError,
}
_RETRY_STATUSES = frozenset({408, 429})
_RETRY_CODES = frozenset({"creation_running"})


def json_of(answer: httpx.Response) -> Any:
    """The JSON of a 2xx answer. Raises UnavailableError, RequestRefusedError or MalformedAnswerError for others."""
    if not answer.is_success:
        raise _error_of(answer)
    try:
        return answer.json()
    except ValueError as error:
        raise MalformedAnswerError("The answer is not JSON. Is this the URL of dots-gateway?") from error


def _error_of(answer: httpx.Response) -> GatewayError:
    """The error for an answer other than 2xx. The gateway's errors are RFC 9457 problem documents with a `code`."""
    problem = _problem(answer)
    status, code = answer.status_code, str(problem.get("code", answer.reason_phrase))
    if answer.is_server_error or status in _RETRY_STATUSES or code in _RETRY_CODES:
        return UnavailableError(
            f"The gateway cannot answer now ({status} {code})",
            status=status,
            retry_after_seconds=_retry_after_seconds(answer.headers),
        )
    kind = _KINDS_BY_CODE.get(code) or _KINDS_BY_STATUS.get(status, RequestRefusedError)
    return kind(str(problem.get("detail", "")), status=status, code=code, fields=_fields(problem))


def _problem(answer: httpx.Response) -> dict[str, Any]:
    """The problem document; empty if the answer is not from the gateway."""
    try:
        problem = answer.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _fields(problem: dict[str, Any]) -> list[tuple[str, str]]:
    """Pairs of a field and its error message."""
    errors = problem.get("errors")
    entries = errors if isinstance(errors, list) else []
    return [(str(each.get("field")), str(each.get("message"))) for each in entries if isinstance(each, dict)]


def _retry_after_seconds(headers: httpx.Headers) -> float:
    """The wait in `Retry-After`: a number of seconds, or a time relative to the `Date` header; 0 without either.

    Source: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after (read 2026-11-23).
    """
    text = headers.get("retry-after", "")
    if re.fullmatch(r"[0-9]{1,9}", text):
        return min(float(text), LONGEST_RETRY_AFTER_SECONDS)
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return 0.0
    return min(max(wait.total_seconds(), 0.0), LONGEST_RETRY_AFTER_SECONDS)
