"""Turns errors into RFC 9457 problem details with a stable code. The table of their HTTP statuses lives here.

Source: https://www.rfc-editor.org/rfc/rfc9457 (read 2026-11-23).
"""

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from app import errors
from app.errors import DotsError, FieldProblem, GatewayError, InvalidFieldsError

log = structlog.get_logger()

STATUSES: Mapping[type[GatewayError], int] = {
    errors.KeyMissingError: 401,
    errors.KeyRefusedError: 401,
    errors.ScopeMissingError: 403,
    errors.InvalidFieldsError: 422,
    errors.UnknownAppError: 404,
    errors.FlowNotFoundError: 404,
    errors.UserNotFoundError: 404,
    errors.WebhookNotFoundError: 404,
    errors.SubscriptionNotFoundError: 404,
    errors.DeliveryNotFoundError: 404,
    errors.DestinationRefusedError: 422,
    errors.IdempotencyKeyReusedError: 422,
    errors.CreationRunningError: 409,
    errors.CreationOutcomeUnknownError: 504,
    errors.InvalidCursorError: 422,
    errors.CursorOfOtherEpochError: 409,
    errors.CursorExpiredError: 410,
    errors.SignatureRefusedError: 401,
    errors.BodyTooLargeError: 413,
    errors.BodyTooSlowError: 408,
    errors.DatabaseUnavailableError: 503,
    errors.DatabaseReadOnlyError: 503,
    errors.DatabasePoolerError: 503,
    errors.OverloadedError: 503,
    errors.EncryptionUnavailableError: 503,
    # The caller is not responsible for these failures of Dots.
    errors.DotsUnreachableError: 503,
    errors.DotsThrottledError: 503,
    errors.DotsBusyError: 503,
    errors.DotsUnansweredError: 504,
    errors.DotsFailedError: 502,
    errors.DotsInvalidResponseError: 502,
    errors.DotsMisroutedError: 502,
    errors.DotsCredentialsError: 502,
    # Here Dots says that the request is wrong.
    errors.DotsRefusedError: 422,
    errors.DotsForbiddenError: 422,
    errors.DotsNotFoundError: 404,
}

# Retry-After, unless the error has its own.
_RETRY_AFTER: Mapping[type[GatewayError], timedelta] = {
    errors.CreationRunningError: timedelta(seconds=2),
    errors.CreationOutcomeUnknownError: timedelta(seconds=30),
    errors.DatabaseUnavailableError: timedelta(seconds=5),
    errors.DatabaseReadOnlyError: timedelta(seconds=5),
    errors.DatabasePoolerError: timedelta(seconds=5),
    errors.OverloadedError: timedelta(seconds=5),
    errors.DotsUnreachableError: timedelta(seconds=5),
    errors.DotsThrottledError: timedelta(seconds=5),
    errors.DotsBusyError: timedelta(seconds=5),
}

# Codes for the errors that FastAPI and Starlette raise, by status.
_CODES = {404: "not_found", 405: "method_not_allowed", 408: "body_too_slow", 413: "body_too_large"}


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    problems: list[FieldProblem] | None = None,
    more: Mapping[str, Any] | None = None,
) -> JSONResponse:
    """Build a problem document. `problems` become its `errors`, one per field."""
    content: dict[str, Any] = {
        "type": f"urn:dots-gateway:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "code": code,
        "detail": detail,
        **(more or {}),
    }
    if problems:
        content["errors"] = [{"field": each.field, "message": each.message} for each in problems]
    return JSONResponse(content, status, headers, media_type="application/problem+json")


def respond(error: GatewayError) -> JSONResponse:
    """Build the answer for one of our errors. It never quotes what Dots or the caller sent."""
    headers: dict[str, str] = {}
    wait = error.retry_after if isinstance(error, DotsError) else None
    if wait := wait or _RETRY_AFTER.get(type(error)):
        headers["Retry-After"] = str(max(1, math.ceil(wait.total_seconds())))
    status = STATUSES.get(type(error), 500)
    if status == 401:  # noqa: PLR2004  # RFC 9110 §11.6.1 requires this header with it
        headers["WWW-Authenticate"] = "Bearer"
    return problem(
        status,
        error.code,
        error.detail if status in STATUSES.values() else GatewayError().detail,
        headers=headers,
        problems=error.problems if isinstance(error, InvalidFieldsError) else None,
        more={"dots_error_code": error.error_code} if isinstance(error, DotsError) and error.error_code else None,
    )


def install(app: FastAPI) -> None:
    """Answer every error of the application with a problem document."""

    @app.exception_handler(GatewayError)
    async def _ours(_request: Request, error: GatewayError) -> JSONResponse:
        return respond(error)

    @app.exception_handler(RequestValidationError)
    async def _validation(_request: Request, error: RequestValidationError) -> JSONResponse:
        return respond(InvalidFieldsError([_field_problem(each) for each in error.errors()]))

    @app.exception_handler(HTTPException)
    async def _framework(_request: Request, error: HTTPException) -> JSONResponse:
        code = _CODES.get(error.status_code, "request_refused")
        return problem(error.status_code, code, str(error.detail), headers=error.headers)

    @app.exception_handler(Exception)
    async def _bug(request: Request, error: Exception) -> JSONResponse:
        log.error("request failed", method=request.method, error=type(error).__name__)
        return problem(500, "internal", "The gateway failed and has logged the error.")


def _field_problem(error: Mapping[str, Any]) -> FieldProblem:
    """Convert one of FastAPI's errors. Drop the input and the first part of the path: `body`, `query` or `header`."""
    path = [str(part) for part in error["loc"]]
    if error["type"] == "json_invalid":
        return FieldProblem("body", "must be JSON")
    return FieldProblem(".".join(path[1:]) or path[0], str(error["msg"]))
