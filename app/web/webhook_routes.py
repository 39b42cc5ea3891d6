"""Where Dots' webhooks come in: bytes in, one check, one await. Plain routes, because each one counts twice here."""

import asyncio
from typing import Any

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from app.errors import (
    BodyTooLargeError,
    BodyTooSlowError,
    DatabaseUnavailableError,
    GatewayError,
    OverloadedError,
    SignatureRefusedError,
    UnknownAppError,
)
from app.settings import DEFAULT_APP
from app.web import error_responses, gateway

log = structlog.get_logger()

BODY_LIMIT_BYTES = 1024 * 1024
BODY_SECONDS = 10.0

_OUTCOMES: dict[type[GatewayError], str] = {
    SignatureRefusedError: "refused",
    BodyTooLargeError: "too_large",
    BodyTooSlowError: "too_slow",
    OverloadedError: "overloaded",
    DatabaseUnavailableError: "unavailable",
}


async def receive(request: Request) -> Response:
    """Answer 204 once the webhook is stored, and a problem otherwise; never anything else."""
    gate = gateway.of(request)
    app = request.path_params.get("app", DEFAULT_APP)
    verifier = gate.verifiers.get(app)
    if verifier is None:
        return error_responses.respond(UnknownAppError())
    counted = gate.tools.telemetry.webhooks
    try:
        body = await _read_body(request)
        now = gate.tools.clock()
        attestation = verifier.verify(request.scope["headers"], body, now=now)
        await gate.receiver.receive(app, attestation, body, received_at=now)
    except ClientDisconnect:
        return Response(status_code=400)
    except GatewayError as error:
        counted.labels(app, _OUTCOMES.get(type(error), "unavailable")).inc()
        log.warning("webhook not taken", app=app, error=error.code, reason=error.detail)
        # Why a signature was refused is for our log; the sender is told the same whatever it was.
        return error_responses.respond(SignatureRefusedError() if isinstance(error, SignatureRefusedError) else error)
    counted.labels(app, "stored").inc()
    return Response(status_code=204)


async def _read_body(request: Request) -> bytes:
    """The whole body. Raises BodyTooLargeError, BodyTooSlowError: the server below sets no limits of its own."""
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                chunks.append(chunk)
                size += len(chunk)
                if size > BODY_LIMIT_BYTES:
                    raise BodyTooLargeError
    except TimeoutError:
        raise BodyTooSlowError from None
    return b"".join(chunks)


ROUTES = [
    Route("/webhooks/dots", receive, methods=["POST"]),
    Route("/webhooks/dots/{app:str}", receive, methods=["POST"]),
]


def describe(schema: dict[str, Any]) -> None:
    """Write the two routes into the OpenAPI document, by hand: they are not FastAPI's."""
    answer = {"$ref": "#/components/responses/Problem"}
    operation: dict[str, Any] = {
        "tags": ["webhooks"],
        "summary": "Receive a webhook from Dots",
        "description": "Signed by Svix or Standard Webhooks headers. Answered only after it is stored.",
        "security": [],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}},
        "responses": {
            "204": {"description": "Stored; now or before."},
            "401": answer,
            "408": answer,
            "413": answer,
            "503": answer,
        },
    }
    name = {"name": "app", "in": "path", "required": True, "schema": {"type": "string"}}
    schema["paths"]["/webhooks/dots"] = {"post": {**operation, "operationId": "receive_webhook"}}
    schema["paths"]["/webhooks/dots/{app}"] = {
        "post": {**operation, "operationId": "receive_webhook_of_app", "parameters": [name]}
    }
