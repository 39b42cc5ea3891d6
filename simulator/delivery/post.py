"""One delivery attempt over HTTP: sign, send, return the outcome."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

import httpx

from simulator.delivery import schedule, signing
from simulator.delivery.endpoint import Endpoint
from simulator.delivery.message import Attempt, Message
from simulator.knobs import WebhookKnobs

_USER_AGENT = "Svix-Webhooks/1.0 (dots-simulator)"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The receiver's answer, or the reason why there is none."""

    status: int | None = None
    error: str | None = None
    retry_after_seconds: float | None = None


async def post(
    client: httpx.AsyncClient,
    message: Message,
    endpoint: Endpoint,
    *,
    attempt: int,
    knobs: WebhookKnobs,
    now: datetime,
) -> Attempt:
    """Send a message once, with a current timestamp and current signatures."""
    headers = _headers(message, endpoint, knobs=knobs, now=now)
    answer = await _answer(client, message, headers, timeout_seconds=knobs.timeout_seconds, now=now)
    return Attempt(
        message_id=message.id,
        endpoint=endpoint.url,
        attempt=attempt,
        status=answer.status,
        error=answer.error,
        at=now,
        retry_after_seconds=answer.retry_after_seconds,
    )


def _headers(message: Message, endpoint: Endpoint, *, knobs: WebhookKnobs, now: datetime) -> dict[str, str]:
    """The signed headers. The message's own headers override them, so that a test can send wrong ones."""
    family, timestamp = knobs.header_family, int(now.timestamp())
    signature = signing.signature_header(
        endpoint.live_secrets(now), message_id=message.id, timestamp=timestamp, body=message.body
    )
    signed = {
        "content-type": "application/json",
        "user-agent": _USER_AGENT,
        f"{family}-id": message.id,
        f"{family}-timestamp": str(timestamp),
        f"{family}-signature": signature,
    }
    return signed | {name.lower(): value for name, value in message.headers.items()}


async def _answer(
    client: httpx.AsyncClient,
    message: Message,
    headers: dict[str, str],
    *,
    timeout_seconds: float,
    now: datetime,
) -> Answer:
    try:
        async with asyncio.timeout(timeout_seconds):
            response = await client.post(message.url, content=message.body, headers=headers)
    except TimeoutError:
        return Answer(error="timeout")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as failure:
        return Answer(error=type(failure).__name__)
    retry_after = schedule.read_retry_after(response.headers.get("retry-after"), now=now)
    return Answer(status=response.status_code, retry_after_seconds=retry_after)
