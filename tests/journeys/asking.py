"""Timed requests of every kind to an api. They show how a database failure affects callers and Dots."""

import asyncio
import base64
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import httpx

from tests.dots import signed_webhooks
from tests.stack import dots
from tests.stack.gateway import Gateway
from tests.stack.processes import Stack

KINDS = ("webhook", "create", "read", "readyz")
# How long a request on a broken connection may take.
LIMIT_SECONDS = 5.0
_SERVER_ERRORS = range(500, 600)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One request and its answer. `status` None: there was no answer."""

    kind: str
    status: int | None
    seconds: float
    message_id: str = ""

    @property
    def is_failure(self) -> bool:
        """Whether the caller must retry."""
        return self.status is None or self.status in _SERVER_ERRORS


async def ask(stack: Stack, kind: str, *, api: int = 0) -> Answer:
    """Send one request of a kind to one of the stack's apis."""
    gateway = stack.gateways[api]
    message_id = f"msg_{uuid4().hex}" if kind == "webhook" else ""
    began = time.monotonic()
    try:
        status = (await _request(gateway, kind, message_id)).status_code
    except httpx.TransportError:
        status = None
    return Answer(kind=kind, status=status, seconds=time.monotonic() - began, message_id=message_id)


async def ask_one_by_one(stack: Stack, *kinds: str, api: int = 0) -> list[Answer]:
    """Send a request of each kind, one after the other."""
    return [await ask(stack, kind, api=api) for kind in kinds]


async def ask_at_once(stack: Stack, *kinds: str, api: int = 0) -> list[Answer]:
    """Send a request of each kind at the same time."""
    return list(await asyncio.gather(*(ask(stack, kind, api=api) for kind in kinds)))


async def use_all_connections(stack: Stack) -> None:
    """Fill the connection pool of each api."""
    for api in range(len(stack.apis)):
        await ask_at_once(stack, *["read"] * 20, api=api)


def at_most_one_failed(answers: list[Answer]) -> bool:
    """Whether at most one request failed and none took longer than the limit."""
    is_prompt = all(answer.seconds <= LIMIT_SECONDS for answer in answers)
    return is_prompt and sum(answer.is_failure for answer in answers) <= 1


async def _request(gateway: Gateway, kind: str, message_id: str) -> httpx.Response:
    if kind == "webhook":
        key = base64.b64decode(dots.WEBHOOK_SECRET.removeprefix("whsec_"))
        headers = signed_webhooks.signed_headers(key, datetime.now(UTC), message_id=message_id.encode())
        url = f"{gateway.url}/webhooks/dots"
        return await gateway.client.post(url, headers=list(headers), content=signed_webhooks.BODY)
    if kind == "create":
        return await gateway.post("/v1/flows", {"steps": ["compliance"]})
    return await gateway.get("/readyz" if kind == "readyz" else "/v1/flows")
