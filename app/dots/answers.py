"""Reads an HTTP answer of Dots: returns its JSON or raises one of our errors, which never quote the body.

Error bodies: https://docs.dots.dev/references/errors, as gathered in the project's notes, read 2026-11-23.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from app import retry_after
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

LONGEST_WAIT = timedelta(hours=1)
"""A longer `Retry-After` is cut to this."""

_ERROR_CODE = re.compile(r"[a-z0-9-]{1,64}")
# Codes for temporary failures, seen with status 400.
_TEMPORARY_CODES = frozenset({"service-unavailable", "resource-busy"})


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer as received. `body` is None if it was too large, or compressed although we did not ask for that."""

    status: int
    retry_after: str | None
    body: bytes | None


def read_answer(answer: Answer, *, now: datetime) -> object:
    """Return the JSON of a successful answer. Raises a DotsError for any other answer.

    | status | with an error body of Dots | without one: a proxy's page, or an empty body |
    |---|---|---|
    | 200-299 | its JSON | InvalidResponse if it is not JSON |
    | 300-399 | InvalidResponse; not followed, so that credentials go only to Dots | the same |
    | 400, 422 | Refused, final if it has a code | Misrouted |
    | 401, 403 | Forbidden; `client` checks whether Dots refuses the credentials | the same |
    | 404 | NotFound | Misrouted |
    | 407 | Unreachable: a proxy answered, Dots did not see the request | the same |
    | 408 | Unanswered | the same |
    | 429 | Throttled | the same |
    | other 4xx that HTTP defines | Refused, not final | Misrouted |
    | other 4xx, such as 499 | InvalidResponse | the same |
    | 500-599 | Failed | the same |

    A 4xx with a code for a temporary failure is Busy, except 401, 403, 407, 408, 429 and the undefined ones. After
    Unanswered, Failed and InvalidResponse, Dots may have carried the request out. After all other errors it has not.
    """
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return _read_json(answer)
    refusal = _read_refusal(answer.body)
    raise _kind_of_error(answer.status, refusal)(
        status=answer.status,
        error_code=refusal.error_code if refusal else None,
        retry_after=retry_after.read(answer.retry_after, now=now, longest=LONGEST_WAIT),
    )


_BY_STATUS_ALONE: dict[int, type[DotsError]] = {
    HTTPStatus.UNAUTHORIZED: DotsForbiddenError,
    HTTPStatus.FORBIDDEN: DotsForbiddenError,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: DotsUnreachableError,
    HTTPStatus.REQUEST_TIMEOUT: DotsUnansweredError,
    HTTPStatus.TOO_MANY_REQUESTS: DotsThrottledError,
}
_DEFINED = frozenset(HTTPStatus)


@dataclass(frozen=True, kw_only=True)
class _Refusal:
    """An error body of Dots. `error_code` is None if it is absent or malformed."""

    error_code: str | None


def _kind_of_error(status: int, refusal: _Refusal | None) -> type[DotsError]:
    """The error for a status other than 2xx; see the table of `read_answer`."""
    if status in _BY_STATUS_ALONE:
        return _BY_STATUS_ALONE[status]
    if status // 100 == 5:  # noqa: PLR2004  # 5xx
        return DotsFailedError
    if status // 100 != 4 or status not in _DEFINED:  # noqa: PLR2004  # 4xx
        return DotsInvalidResponseError
    if refusal is None:
        return DotsMisroutedError
    if refusal.error_code in _TEMPORARY_CODES:
        return DotsBusyError
    return DotsNotFoundError if status == HTTPStatus.NOT_FOUND else DotsRefusedError


def _read_json(answer: Answer) -> object:
    if answer.body is None:
        raise DotsInvalidResponseError("Dots' answer is too large or compressed.", status=answer.status)
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        # `from None`, because the parser's error holds the whole body, and tracebacks are logged.
        raise DotsInvalidResponseError("Dots' answer is not JSON.", status=answer.status) from None


def _read_refusal(body: bytes | None) -> _Refusal | None:
    """Read an error body of Dots, recognised by any of its three optional fields. Drops the message."""
    try:
        content = json.loads(body or b"")
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    code = content.get("error_code")
    if (
        content.get("success") is not False
        and not isinstance(code, str)
        and not isinstance(content.get("message"), str)
    ):
        return None
    return _Refusal(error_code=code if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else None)
