"""`/_control` routes about webhooks: endpoints, sending by hand, secrets, and the delivery log."""

import base64
import binascii
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl

from simulator.control import answers
from simulator.delivery import signing
from simulator.delivery.endpoint import Endpoint
from simulator.errors import conflict, invalid_input, not_found
from simulator.simulation import Simulation, endpoint_for

_ROTATION_OVERLAP_SECONDS = 24 * 3600.0


def _checked_secret(secret: str) -> str:
    signing.key(secret)
    return secret


_Secret = Annotated[str, AfterValidator(_checked_secret)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewEndpoint(_Request):
    """A receiver. The default secret is the one the simulator started with."""

    url: HttpUrl
    secret: _Secret | None = None


class HandMadeWebhook(_Request):
    """A webhook with any body, correctly signed."""

    body: str | None = Field(None, description="The raw body as text, encoded as UTF-8.")
    body_base64: str | None = Field(None, description="The raw body as base64, instead of `body`.")
    headers: dict[str, str] = Field(default_factory=dict, description="Override the signed headers.")


class Rotation(_Request):
    """How to rotate a secret."""

    url: str | None = Field(None, description="The endpoint; absent: the first one.")
    secret: _Secret | None = Field(None, description="The new secret; absent: a random one.")
    overlap_seconds: float = Field(_ROTATION_OVERLAP_SECONDS, ge=0, description="How long the old secret also signs.")


def webhook_router(simulation: Simulation) -> APIRouter:
    """The routes about webhooks."""
    router = APIRouter(tags=["webhooks"])
    sender = simulation.sender

    @router.put("/webhook-endpoints")
    async def set_endpoints(endpoints: list[NewEndpoint]) -> list[dict[str, Any]]:
        """Replace all endpoints. A disabled endpoint in the list is enabled again."""
        default = simulation.settings.webhook_secret
        sender.set_endpoints([endpoint_for(str(new.url), new.secret or default) for new in endpoints])
        return [answers.endpoint_answer(endpoint) for endpoint in sender.endpoints]

    @router.get("/webhook-endpoints")
    async def list_endpoints() -> list[dict[str, Any]]:
        """The endpoints that receive webhooks."""
        return [answers.endpoint_answer(endpoint) for endpoint in sender.endpoints]

    @router.post("/webhooks", status_code=202)
    async def send_webhook(webhook: HandMadeWebhook) -> dict[str, Any]:
        """Send any body to every endpoint, correctly signed. The delivery knobs apply."""
        messages = sender.dispatch(_raw_body(webhook), webhook.headers)
        return {"message_ids": [message.id for message in messages]}

    @router.get("/webhooks")
    async def list_webhooks(after: str | None = None) -> dict[str, Any]:
        """Messages, oldest first, each with its body and its state: held, waiting, delivered, given_up or dropped.

        Lists all messages in the log, or only those created after the message `after`.
        """
        log = sender.log
        messages = [answers.message_answer(item, log.states[item.id]) for item in log.since(after)]
        return {"webhooks": messages, "under_way": sender.under_way}

    @router.post("/webhooks/flush")
    async def flush() -> dict[str, int]:
        """Send the held messages. The pause continues for later ones."""
        return {"released": sender.flush()}

    @router.post("/webhooks/{message_id}/resend", status_code=202)
    async def resend(message_id: str) -> dict[str, Any]:
        """Send a message again under its old id, in any state."""
        message = sender.log.messages.get(message_id)
        if message is None:
            raise not_found("No such message")
        sender.resend(message)
        return {"message_ids": [message_id]}

    @router.post("/webhook-secret/rotate")
    async def rotate(how: Annotated[Rotation | None, Body()] = None) -> dict[str, Any]:
        """Give an endpoint a new secret. The old secret also signs for a while: 24 h by default, as at Svix."""
        wanted = how or Rotation()
        old = _endpoint(sender.endpoints, wanted.url)
        until = simulation.clock() + timedelta(seconds=wanted.overlap_seconds)
        new = old.rotated(wanted.secret or signing.new_secret(simulation.random), old_until=until)
        sender.set_endpoints([new if endpoint.id == old.id else endpoint for endpoint in sender.endpoints])
        return answers.endpoint_answer(new)

    @router.get("/deliveries")
    async def list_deliveries() -> dict[str, Any]:
        """Every attempt in the order they ended, and the number of unfinished deliveries."""
        attempts = [answers.attempt_answer(attempt) for attempt in sender.log.attempts]
        return {"deliveries": attempts, "under_way": sender.under_way}

    return router


def _raw_body(webhook: HandMadeWebhook) -> bytes:
    if (webhook.body is None) == (webhook.body_base64 is None):
        raise invalid_input("Give body or body_base64")
    if webhook.body_base64 is None:
        return (webhook.body or "").encode(errors="surrogatepass")
    try:
        return base64.b64decode(webhook.body_base64, validate=True)
    except (binascii.Error, ValueError):
        raise invalid_input("body_base64: is not base64") from None


def _endpoint(endpoints: tuple[Endpoint, ...], url: str | None) -> Endpoint:
    for endpoint in endpoints:
        if url in (None, endpoint.url):
            return endpoint
    raise conflict("There is no such webhook endpoint")
