import json
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from fastapi import Depends, FastAPI

from app import errors
from app.access.scopes import Open
from app.errors import GatewayError, ScopeMissingError
from app.web import problems
from tests.surroundings import Logs

# Callers rely on the code and status of every error. Changing a line here breaks a caller.
CONTRACT = {
    "key_missing": 401,
    "key_refused": 401,
    "scope_missing": 403,
    "invalid_fields": 422,
    "unknown_app": 404,
    "flow_not_found": 404,
    "user_not_found": 404,
    "webhook_not_found": 404,
    "subscription_not_found": 404,
    "delivery_not_found": 404,
    "destination_refused": 422,
    "encryption_unavailable": 503,
    "idempotency_key_reused": 422,
    "creation_running": 409,
    "creation_outcome_unknown": 504,
    "invalid_cursor": 422,
    "cursor_of_other_epoch": 409,
    "cursor_expired": 410,
    "signature_refused": 401,
    "body_too_large": 413,
    "body_too_slow": 408,
    "database_unavailable": 503,
    "database_read_only": 503,
    "database_pooler": 503,
    "overloaded": 503,
    "dots_unreachable": 503,
    "dots_throttled": 503,
    "dots_unanswered": 504,
    "dots_failed": 502,
    "dots_invalid_response": 502,
    "dots_misrouted": 502,
    "dots_busy": 503,
    "dots_credentials": 502,
    "dots_forbidden": 422,
    "dots_refused": 422,
    "dots_not_found": 404,
}
# These stop a process or a command. While a process serves, only /readyz meets them, and it answers its own 503.
# No request waits for a broker.
NEVER_IN_HTTP = {
    errors.SettingsError,
    errors.SchemaVersionError,
    errors.SchemaTakenError,
    errors.SchemaRightsError,
    errors.BrokerUnavailableError,
    errors.NoBrokerError,
}
RETRIED = {
    "creation_running": 2,
    "creation_outcome_unknown": 30,
    "database_unavailable": 5,
    "database_read_only": 5,
    "database_pooler": 5,
    "overloaded": 5,
    "dots_unreachable": 5,
    "dots_throttled": 5,
    "dots_busy": 5,
}


def concrete(kind: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    """Yield the errors of `app.errors` that have no subclass there."""
    below = [each for each in kind.__subclasses__() if each.__module__ == "app.errors"]
    if not below:
        yield kind
    for each in below:
        yield from concrete(each)


def test_every_error_has_a_status() -> None:
    """An error that is missing from the table would be a 500."""
    missing = set(concrete()) - set(problems.STATUSES) - NEVER_IN_HTTP

    assert missing == set()


def test_codes_and_statuses_are_a_contract() -> None:
    """Callers' programs read codes and statuses."""
    found = {kind.code: status for kind, status in problems.STATUSES.items()}

    assert found == CONTRACT


@pytest.mark.parametrize("kind", problems.STATUSES, ids=lambda kind: kind.code)
def test_error_becomes_a_problem_document(kind: type[GatewayError]) -> None:
    """It has the members of RFC 9457 and our code. It has Retry-After if a retry may help."""
    error = ScopeMissingError("flows:read") if kind is ScopeMissingError else _make(kind)

    response = problems.respond(error)

    content = json.loads(bytes(response.body))
    assert response.status_code == CONTRACT[kind.code]
    assert response.media_type == "application/problem+json"
    assert content.keys() >= {"type", "title", "status", "code", "detail"}
    assert (content["type"], content["status"]) == (f"urn:dots-gateway:problem:{kind.code}", CONTRACT[kind.code])
    assert content["detail"]
    assert response.headers.get("retry-after") == (str(RETRIED[kind.code]) if kind.code in RETRIED else None)


def _make(kind: type[GatewayError]) -> GatewayError:
    return errors.InvalidFieldsError([]) if kind is errors.InvalidFieldsError else kind()


@pytest.mark.parametrize(
    ("retry_after", "header"),
    [(timedelta(seconds=0.2), "1"), (timedelta(seconds=90.5), "91"), (timedelta(0), "5")],
)
def test_dots_own_retry_after_is_passed_on(retry_after: timedelta, header: str) -> None:
    """The header has whole seconds, rounded up, and at least one."""
    response = problems.respond(errors.DotsThrottledError(retry_after=retry_after))

    assert response.headers["retry-after"] == header


FRAMEWORK_ERRORS = [
    ("GET", "/nowhere", 404, "not_found"),
    ("GET", "/v1/flows/", 404, "not_found"),
    ("GET", "/webhooks/dots/default/more", 404, "not_found"),
    ("DELETE", "/v1/flows", 405, "method_not_allowed"),
    ("POST", "/livez", 405, "method_not_allowed"),
    ("GET", "/v1/events?limit=0", 422, "invalid_fields"),
    ("GET", "/v1/events?limit=many", 422, "invalid_fields"),
    ("GET", "/v1/events?wait=nan", 422, "invalid_fields"),
    ("GET", "/v1/flows?status=lost", 422, "invalid_fields"),
    ("GET", "/v1/flows?created_from=yesterday", 422, "invalid_fields"),
    # A time without a zone is ambiguous.
    ("GET", "/v1/flows?created_from=2026-11-23T12:00:00", 422, "invalid_fields"),
    ("GET", "/v1/flows?reference=%00", 422, "invalid_fields"),
    ("GET", "/v1/flows/%00", 404, "flow_not_found"),
    ("GET", "/v1/users/..%2Fflows", 404, "not_found"),
]


async def test_framework_errors_are_problem_documents_too(client: httpx.AsyncClient) -> None:
    """All errors have the same format, also those that FastAPI and Starlette raise."""
    answers = [(case, await client.request(*case[:2])) for case in FRAMEWORK_ERRORS]

    assert {answer.headers["content-type"] for _, answer in answers} == {"application/problem+json"}
    assert [(*case[:2], answer.status_code, answer.json()["code"]) for case, answer in answers] == FRAMEWORK_ERRORS
    assert [answer.json()["status"] for _, answer in answers] == [answer.status_code for _, answer in answers]


async def test_times_at_the_ends_of_the_calendar_are_no_server_error(client: httpx.AsyncClient) -> None:
    """A time whose zone puts it outside the years 1 to 9999 is refused."""
    moments = (
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
    )
    queries = [{name: moment} for name in ("created_from", "created_before") for moment in moments]
    answers = [await client.get("/v1/flows", params=query) for query in queries]

    assert [answer.status_code for answer in answers] == [422, 422, 200, 422] * 2


async def test_invalid_body_is_refused(client: httpx.AsyncClient) -> None:
    """A body that is not a JSON object is a caller's error."""
    contents = (b"", b"{", b"[]", b'"steps"', b"\xff\xfe", b"[" * 50_000, b'{"steps":' + b"9" * 5_000 + b"}")
    headers = {"content-type": "application/json"}
    answers = [await client.post("/v1/flows", content=content, headers=headers) for content in contents]

    assert {answer.status_code for answer in answers} <= {400, 422}
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
    assert [answer.text for answer in answers if "9999" in answer.text] == []


async def test_bug_is_a_problem_document_and_one_log_line(app: FastAPI, client: httpx.AsyncClient, logs: Logs) -> None:
    """The caller gets a fixed text. The log has the type of the error without its message."""

    @app.get("/bug", dependencies=[Depends(Open())])
    async def bug() -> None:
        raise RuntimeError("Ada Lovelace")

    answer = await client.get("/bug")

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "internal"
    assert "Ada" not in answer.text
    assert [line["error"] for line in logs if line["event"] == "request failed"] == ["RuntimeError"]


async def test_problem_does_not_quote_input(client: httpx.AsyncClient) -> None:
    """An error about personal data does not repeat the data."""
    secret = "123-45-6789"

    answers = [
        await client.post("/v1/flows", json={"steps": [secret, secret], "user_id": secret, "app": [secret]}),
        await client.post("/v1/flows", json={"steps": [{"name": "redirect", "redirect_url": secret}]}),
        await client.post("/v1/flows", json={"steps": ["compliance"]}, headers={"Idempotency-Key": f"a {secret}"}),
        await client.get("/v1/events", params={"types": secret}),
        await client.get("/v1/events", params={"after": secret}),
        await client.get(f"/v1/users/{secret}"),
    ]

    assert [answer.status_code for answer in answers] == [422, 422, 422, 422, 422, 404]
    assert [answer.text for answer in answers if secret in answer.text] == []
