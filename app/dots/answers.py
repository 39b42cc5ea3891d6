"""What an HTTP answer of Dots means: its JSON, or one of our errors; nothing of the body is ever quoted.

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
"""The most that a `Retry-After` is believed."""

_ERROR_CODE = re.compile(r"[a-z0-9-]{1,64}")
# Codes for temporary failures, seen with status 400.
_PASSING_CODES = frozenset({"service-unavailable", "resource-busy"})


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer as it came; `body` is None when it was too large or compressed, which we never ask for."""

    status: int
    retry_after: str | None
    body: bytes | None


def read_answer(answer: Answer, *, now: datetime) -> object:
    """The JSON of a good answer; raises the DotsError that any other answer stands for.

    | status | with an error of Dots' kind | without: a proxy's page, or nothing |
    |---|---|---|
    | 200-299 | good if it is JSON | Gibberish if it is not JSON |
    | 300-399 | Gibberish; never followed, so that credentials stay with Dots | the same |
    | 400, 422 | Refused, final if it has a code | Misrouted |
    | 401, 403 | Forbidden; `client` finds out whether it is the credentials | the same |
    | 404 | NotFound | Misrouted |
    | 407 | Unreachable: a proxy's own answer, Dots never saw the request | the same |
    | 408 | Unanswered | the same |
    | 429 | Throttled | the same |
    | other 4xx that HTTP defines | Refused, not final | Misrouted |
    | other 4xx, such as 499 | Gibberish | the same |
    | 500-599 | Failed | the same |

    A 4xx with a code for a temporary failure is Busy, except 401, 403, 407, 408, 429 and the undefined ones. After
    Unanswered, Failed and Gibberish, Dots may have carried the request out. After all other errors it has not.
    """
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return _read_json(answer)
    refusal = _read_refusal(answer.body)
    raise _kind_of_error(answer.status, refusal)(
        status=answer.status,
        error_code=refusal.error_code if refusal else None,
        retry_after=retry_after.read(answer.retry_after, now=now, longest=LONGEST_WAIT),
    )


_WHATEVER_THE_BODY: dict[int, type[DotsError]] = {
    HTTPStatus.UNAUTHORIZED: DotsForbiddenError,
    HTTPStatus.FORBIDDEN: DotsForbiddenError,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: DotsUnreachableError,
    HTTPStatus.REQUEST_TIMEOUT: DotsUnansweredError,
    HTTPStatus.TOO_MANY_REQUESTS: DotsThrottledError,
}
_DEFINED = frozenset(HTTPStatus)


@dataclass(frozen=True, kw_only=True)
class _Refusal:
    """An error body of Dots' kind. `error_code` is None if it is absent or malformed."""

    error_code: str | None


def _kind_of_error(status: int, refusal: _Refusal | None) -> type[DotsError]:
    """What a status other than 2xx stands for; see the table of `read_answer`."""
    if status in _WHATEVER_THE_BODY:
        return _WHATEVER_THE_BODY[status]
    if status // 100 == 5:  # noqa: PLR2004  # 5xx
        return DotsFailedError
    if status // 100 != 4 or status not in _DEFINED:  # noqa: PLR2004  # 4xx
        return DotsInvalidResponseError
    if refusal is None:
        return DotsMisroutedError
    if refusal.error_code in _PASSING_CODES:
        return DotsBusyError
    return DotsNotFoundError if status == HTTPStatus.NOT_FOUND else DotsRefusedError


def _read_json(answer: Answer) -> object:
    if answer.body is None:
        raise DotsInvalidResponseError("Dots answered with too much, or compressed.", status=answer.status)
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        # Without its cause: the parser's error holds the whole body, and tracebacks are logged.
        raise DotsInvalidResponseError("Dots answered with something that is not JSON.", status=answer.status) from None


def _read_refusal(body: bytes | None) -> _Refusal | None:
    """Dots' error, recognised by any of its three optional fields. Its message is not kept."""
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
