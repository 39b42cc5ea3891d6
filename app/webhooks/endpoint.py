"""The endpoint for Dots' webhooks: reads the body, verifies the signature and awaits the commit.

It is a plain ASGI application beside FastAPI, because FastAPI and its middleware would more than double the cost of a
webhook.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from prometheus_client import Counter
from pydantic.config import JsonDict
from starlette.types import ASGIApp, Receive, Scope, Send

from app.dots.signature import Verifier
from app.errors import (
    BodyTooLargeError,
    BodyTooSlowError,
    DatabaseUnavailableError,
    GatewayError,
    OverloadedError,
    SignatureRefusedError,
    UnknownAppError,
)
from app.metrics import Telemetry
from app.settings import DEFAULT_APP
from app.storage.inputs import StorageInputs
from app.web import bounded_log, examples, problems
from app.web.bounded_log import BoundedLog
from app.webhooks.receive_webhook import Receipt, WebhookReceiver

log = structlog.get_logger()

# This endpoint answers and counts all requests whose path begins like this.
PREFIX = "/webhooks"
PATH = "/webhooks/dots"
BODY_LIMIT_BYTES = 1024 * 1024
# Dots (Svix) waits 15 s for an answer. This is the limit for reading the body and storing the webhook together.
ANSWER_SECONDS = 12.0
_PATH_LIMIT = 100

_OUTCOMES: dict[type[GatewayError], str] = {
    SignatureRefusedError: "refused",
    BodyTooLargeError: "too_large",
    BodyTooSlowError: "too_slow",
    OverloadedError: "overloaded",
    DatabaseUnavailableError: "unavailable",
}
# The errors that an unauthenticated sender can cause any number of times.
_UNAUTHENTICATED = (SignatureRefusedError, BodyTooLargeError, BodyTooSlowError)
_BODY: JsonDict = {
    "description": "Any JSON that Dots signed.",
    "examples": [{"event": "flow.updated", "flow_id": examples.FLOW_ID}],
}


@dataclass(frozen=True, kw_only=True)
class WebhookInputs(StorageInputs):
    """The inputs of the endpoint: a verifier for each Dots app, and the receiver that stores webhooks."""

    verifiers: Mapping[str, Verifier]
    receiver: WebhookReceiver
    telemetry: Telemetry


class _ReadyAnswer:
    """An answer without a body. Its ASGI messages are built once."""

    def __init__(self, status: int) -> None:
        self._start = {"type": "http.response.start", "status": status, "headers": []}
        self._end = {"type": "http.response.body", "body": b""}

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send(self._start)
        await send(self._end)


_STORED = _ReadyAnswer(204)
_SENDER_IS_GONE = _ReadyAnswer(400)


class SenderGoneError(Exception):
    """The sender closed the connection before the body was complete."""


class WebhookEndpoint:
    """Answers 204 after a webhook is stored, and a problem document otherwise."""

    def __init__(self, inputs: WebhookInputs, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        """Answer each request within `answer_seconds`."""
        self._inputs = inputs
        self._answer_seconds = answer_seconds
        self._log = BoundedLog(inputs.clock)
        self._counters: dict[tuple[str, str], Counter] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        app = _app_in(scope["path"])
        verifier = None if app is None else self._inputs.verifiers.get(app)
        if app is None or verifier is None:
            response = self._refuse_path(scope["path"], names_app=app is not None)
        elif scope["method"] != "POST":
            response = self._refuse_method(app)
        else:
            response = await self._answer(app, verifier, scope, receive)
        await response(scope, receive, send)

    async def _answer(self, app: str, verifier: Verifier, scope: Scope, receive: Receive) -> ASGIApp:
        try:
            receipt = await self._take(app, verifier, scope, receive)
        except SenderGoneError:
            return _SENDER_IS_GONE
        except _UNAUTHENTICATED as error:
            outcome = _OUTCOMES[type(error)]
            self._count(app, outcome)
            self._log.warning("webhook not taken", kind=outcome, app=app, error=error.code, reason=str(error.detail))
            # Only the log has the reason. Every sender with a bad signature gets the same answer.
            is_refused = isinstance(error, SignatureRefusedError)
            return problems.respond(SignatureRefusedError() if is_refused else error)
        except GatewayError as error:
            self._count(app, _OUTCOMES.get(type(error), "unavailable"))
            log.warning("webhook not taken", app=app, error=error.code, reason=str(error.detail))
            return problems.respond(error)
        self._count(receipt.app, "foreign_app" if receipt.is_foreign else "stored")
        return _STORED

    async def _take(self, app: str, verifier: Verifier, scope: Scope, receive: Receive) -> Receipt:
        """Read, verify and store a webhook. Raises GatewayError or SenderGoneError."""
        body = None
        try:
            async with asyncio.timeout(self._answer_seconds):
                body = await _read_body(receive)
                now = self._inputs.clock()
                attestation = verifier.verify(scope["headers"], body, now=now)
                return await self._inputs.receiver.receive(app, attestation, body, received_at=now)
        except TimeoutError as error:
            raise (BodyTooSlowError if body is None else DatabaseUnavailableError) from error

    def _refuse_path(self, path: str, *, names_app: bool) -> ASGIApp:
        """Answer 404. Most likely the endpoint's URL in Dots' dashboard is wrong."""
        self._count("", "not_found")
        shown = bounded_log.escaped(path, limit=_PATH_LIMIT)
        self._log.warning("webhook not taken", kind="not_found", error="not_found", path=shown)
        if names_app:
            return problems.respond(UnknownAppError())
        return problems.problem(404, "not_found", "Not Found")

    def _refuse_method(self, app: str) -> ASGIApp:
        self._count(app, "wrong_method")
        self._log.warning("webhook not taken", kind="wrong_method", app=app, error="method_not_allowed")
        return problems.problem(405, "method_not_allowed", "Use POST.", headers={"Allow": "POST"})

    def _count(self, app: str, outcome: str) -> None:
        counter = self._counters.get((app, outcome))
        if counter is None:
            counter = self._counters[app, outcome] = self._inputs.telemetry.webhooks.labels(app, outcome)
        counter.inc()


def _app_in(path: str) -> str | None:
    """Return the app in this path, which may end with a slash. None if the path has no app."""
    path = path.removesuffix("/")
    if path == PATH:
        return DEFAULT_APP
    head, _, app = path.rpartition("/")
    return app if head == PATH and app else None


async def _read_body(receive: Receive) -> bytes:
    """Read the whole body. Raises BodyTooLargeError, SenderGoneError."""
    body = b""
    has_more = True
    while has_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise SenderGoneError
        body += message.get("body", b"")
        if len(body) > BODY_LIMIT_BYTES:
            raise BodyTooLargeError
        has_more = message.get("more_body", False)
    return body


def describe(schema: dict[str, Any]) -> None:
    """Add the two paths to the OpenAPI document, because FastAPI does not know them."""
    problem = {"$ref": "#/components/responses/Problem"}
    operation: dict[str, Any] = {
        "tags": ["webhooks"],
        "description": "Verifies the Svix or Standard Webhooks signature. Answers after the webhook is stored.",
        "security": [],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _BODY}}},
        "responses": {
            "204": {"description": "The webhook is stored."},
            **{str(status): problem for status in (401, 404, 405, 408, 413, 503)},
        },
    }
    name = {"name": "app", "in": "path", "required": True, "schema": {"type": "string"}}
    schema["paths"][PATH] = {
        "post": {"operationId": "receiveWebhook", "summary": "Receive a webhook from Dots", **operation}
    }
    schema["paths"][f"{PATH}/{{app}}"] = {
        "post": {
            "operationId": "receiveAppWebhook",
            "summary": "Receive a webhook from one Dots app",
            **operation,
            "parameters": [name],
        }
    }
