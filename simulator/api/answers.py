"""Answers of the simulated API other than success: Dots' error format and its possible variants."""

from http import HTTPStatus

from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from simulator.knobs import Fault, Unknowns


def error(
    unknowns: Unknowns, *, status: int, error_code: str, message: str, headers: dict[str, str] | None = None
) -> Response:
    """An error in Dots' format. `error_format` decides which of `success`, `message`, `error_code` it has."""
    formats = {
        "full": {"success": False, "message": message, "error_code": error_code},
        "message_only": {"message": message},
        "empty": {},
    }
    if status == HTTPStatus.NOT_MODIFIED:  # HTTP allows it no body.
        return Response(status_code=status, headers=headers)
    if unknowns.error_format == "text":
        return PlainTextResponse(message, status, headers)
    return JSONResponse(formats[unknowns.error_format], status, headers)


def bad_credentials(unknowns: Unknowns) -> Response:
    """The answer to a wrong key."""
    return error(
        unknowns,
        status=unknowns.bad_credentials_status,
        error_code="unauthorized",
        message="Invalid client id or API key",
        headers={"www-authenticate": 'Basic realm="dots"'},
    )


def rate_limited(unknowns: Unknowns, *, retry_after_seconds: int | None) -> Response:
    """The answer to a call above the rate limit."""
    headers = {} if retry_after_seconds is None else {"retry-after": str(retry_after_seconds)}
    return error(
        unknowns,
        status=HTTPStatus.TOO_MANY_REQUESTS,
        error_code="resource-busy",
        message="Too many requests",
        headers=headers,
    )


def failed(unknowns: Unknowns, fault: Fault) -> Response:
    """An error in Dots' format with the fault's status and code."""
    return error(
        unknowns,
        status=fault.status,
        error_code=fault.error_code,
        message="The request could not be carried out",
    )


def proxy_page(status: int) -> Response:
    """The answer of a proxy in front of Dots: an HTML page, or no body where HTTP allows none."""
    if status == HTTPStatus.NOT_MODIFIED:
        return Response(status_code=status)
    headers = {"location": "https://elsewhere.example/"} if status < HTTPStatus.BAD_REQUEST else {}
    return HTMLResponse(f"<html><head><title>{status}</title></head><body>proxy</body></html>", status, headers)


def junk() -> Response:
    """An answer that claims success and is not JSON."""
    return PlainTextResponse("<html><body>upstream says hello</body></html>", media_type="text/html")
