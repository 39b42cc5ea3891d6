"""What an HTTP answer of Dots means: its JSON, or one of our errors; nothing of the body is ever quoted.

Error bodies: https://docs.dots.dev/references/errors, as gathered in the project's notes, read 2026-11-23.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from app.errors import (
    DotsCredentialsError,
    DotsError,
    DotsFailedError,
    DotsGibberishError,
    DotsNotFoundError,
    DotsRefusedError,
    DotsThrottledError,
    DotsUnreachableError,
)
from app.flows import retry_after

LONGEST_WAIT = timedelta(hours=1)
"""The most that a `Retry-After` is believed."""

_ERROR_CODE = re.compile(r"[a-z0-9-]{1,64}")

_ERRORS_BY_STATUS: dict[int, type[DotsError]] = {
    HTTPStatus.UNAUTHORIZED: DotsCredentialsError,
    HTTPStatus.FORBIDDEN: DotsCredentialsError,  # what the API's first version answers to bad credentials
    HTTPStatus.NOT_FOUND: DotsNotFoundError,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: DotsUnreachableError,  # a proxy's own answer: Dots never saw the request
    HTTPStatus.TOO_MANY_REQUESTS: DotsThrottledError,
}
_ERRORS_BY_CLASS: dict[int, type[DotsError]] = {
    4: DotsRefusedError,
    5: DotsFailedError,
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer as it came; `body` is None when it was too large or compressed, which we never ask for."""

    status: int
    retry_after: str | None
    body: bytes | None


def read_answer(answer: Answer, *, now: datetime) -> object:
    """The JSON of a good answer; raises the DotsError that any other answer stands for."""
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return _read_json(answer)
    raise _kind_of_error(answer.status)(
        status=answer.status,
        error_code=_read_error_code(answer.body),
        retry_after=retry_after.read(answer.retry_after, now=now, longest=LONGEST_WAIT),
    )


def _kind_of_error(status: int) -> type[DotsError]:
    """What a status stands for; a redirect is gibberish, following it could carry credentials elsewhere."""
    return _ERRORS_BY_STATUS.get(status) or _ERRORS_BY_CLASS.get(status // 100) or DotsGibberishError


def _read_json(answer: Answer) -> object:
    if answer.body is None:
        raise DotsGibberishError("Dots answered with too much, or compressed.", status=answer.status)
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        # Without its cause: the parser's error holds the whole body, and tracebacks are logged.
        raise DotsGibberishError("Dots answered with something that is not JSON.", status=answer.status) from None


def _read_error_code(body: bytes | None) -> str | None:
    """Dots' short code for the error, if the body is their documented one; the rest of it is not looked at."""
    try:
        content = json.loads(body or b"")
    except (ValueError, RecursionError):
        return None
    code = content.get("error_code") if isinstance(content, dict) else None
    return code if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else None
