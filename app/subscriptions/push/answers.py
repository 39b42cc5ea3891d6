"""The outcome of a push: the subscriber's status, or the failure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus

from app import retry_after

LONGEST_WAIT = timedelta(hours=24)
"""A longer `Retry-After` is cut to this, the longest wait of the schedule."""

_WAITS = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class Failure(StrEnum):
    """The error codes of a failed push. Other statuses have the code `status_NNN`."""

    GONE = "gone"
    REDIRECTED = "redirected"
    REFUSED_DESTINATION = "refused_destination"
    UNRESOLVABLE = "unresolvable"
    UNREACHABLE = "unreachable"
    TLS_FAILED = "tls_failed"
    TIMED_OUT = "timed_out"
    DISCONNECTED = "disconnected"
    PROTOCOL_ERROR = "protocol_error"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The outcome of one push. `error` is None after a 2xx. `status` is None without an answer."""

    status: int | None
    error: str | None
    retry_after: timedelta | None
    took: timedelta


def read(status: int, headers: Iterable[tuple[bytes, bytes]], *, now: datetime, took: timedelta) -> Answer:
    """Build the outcome from a status and headers. Only `Retry-After` is read."""
    return Answer(
        status=status,
        error=_error_of(status),
        retry_after=_read_retry_after(headers, now) if status in _WAITS else None,
        took=took,
    )


def failed(failure: Failure, *, took: timedelta) -> Answer:
    """The outcome without an answer."""
    return Answer(status=None, error=failure, retry_after=None, took=took)


def _error_of(status: int) -> str | None:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Failure.REDIRECTED
    return Failure.GONE if status == HTTPStatus.GONE else f"status_{status}"


def _read_retry_after(headers: Iterable[tuple[bytes, bytes]], now: datetime) -> timedelta | None:
    values = [value.decode("latin-1") for name, value in headers if name.lower() == b"retry-after"]
    return retry_after.read(values[0] if values else None, now=now, longest=LONGEST_WAIT)
